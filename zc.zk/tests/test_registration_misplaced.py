"""Nodes at wrong paths: what may be one of ours."""
import pytest
import zc.zk
from zc.zk.registration.misplaced import is_like
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH


@pytest.mark.parametrize('path, is_it', [
    ('/p/a:8081', True), ('/q/b:8088', True), ('/p/a:80800000000012', True),
    ('/q/a:80810000000012', True), ('/p/a:808', False), ('/p/a:80800', False),
    ('/p/b:9191', False), ('/p/lock-0000000012', False)])
def test_paths_that_are_like_others(path, is_it):
    assert is_like(path, ['/somewhere/else', '/p/a:8080']) is is_it


@pytest.fixture
def doubt(zookeeper, client):
    """A function that has a registration doubt where its node is.

    Between the doubt and the look for it, `create(data)` is called.
    """
    def doubt(zk, create):
        witness = client()
        zk.register(PATH, NODE.rpartition('/')[2])
        record, = zk._registrar.records
        data = witness.get(NODE)[0]
        record.doubt({data}, zk.client.last_zxid)
        create(data)
        witness.delete(NODE)
        wait_for(lambda: not record.doubtful)
        wait_for(lambda: witness.exists(NODE))

    client().ensure_path(PATH)
    return doubt


@pytest.mark.parametrize('is_older', [True, False])
@pytest.mark.parametrize('address', [
    '192.0.2.9:9999', NODE.rpartition('/')[2].replace('8080', '8081')])
def test_nodes_of_another_object_with_the_same_client_stay(
        zookeeper, client, doubt, is_older, address):
    """Their data may be the same; it is doubted after each lost answer."""
    shared = client()
    with zc.zk.ZooKeeper(shared) as zk, zc.zk.ZooKeeper(shared) as other:
        made = []

        def create(data=None):
            if not made:
                other.register(PATH, address)
                made.append(shared.get(f'{PATH}/{address}'))
            assert data in (None, made[0][0])

        if is_older:
            create()
        doubt(zk, create)
        assert shared.get(f'{PATH}/{address}') == made[0]
    # Nothing is kept of objects that are closed.
    assert not zk._registrar._of_client


def test_nodes_that_another_object_makes_meanwhile_stay(
        zookeeper, client, doubt, monkeypatch):
    """While the registration asks which nodes there are."""
    shared, address = client(), '192.0.2.9:9999'
    with zc.zk.ZooKeeper(shared) as zk, zc.zk.ZooKeeper(shared) as other:
        nodes, made = zk._registrar.reconciler._nodes, []
        fetch_ours = nodes.fetch_ours

        def fetch_later(path):
            if not made:
                other.register(PATH, address)
                made.append(shared.get(f'{PATH}/{address}'))
            return fetch_ours(path)

        doubt(zk, lambda data: monkeypatch.setattr(
            nodes, 'fetch_ours', fetch_later))
        assert shared.get(f'{PATH}/{address}') == made[0]


def test_nodes_of_the_application_stay(zookeeper, doubt):
    with zc.zk.ZooKeeper(zookeeper.connection_string) as zk:
        made = []

        def create(data):
            made.append(zk.client.create(NODE.replace('8080', '8081'), data,
                                         ephemeral=True))
            made.append(zk.client.create(PATH + '/lock-', data,
                                         ephemeral=True, sequence=True))
            with zk.client.transaction() as transaction:
                transaction.create(PATH + '/x', data, ephemeral=True)
            made.append(PATH + '/x')

        doubt(zk, create)
        assert all(map(zk.client.exists, made))
