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


def test_nodes_of_another_object_with_the_same_client_stay(zookeeper, client):
    """Their data may be the same; it is doubted after each lost answer."""
    shared = client()
    shared.ensure_path(PATH)
    with zc.zk.ZooKeeper(shared) as zk, zc.zk.ZooKeeper(shared) as other:
        other.register(PATH, '192.0.2.9:9999')
        node = f'{PATH}/192.0.2.9:9999'
        before = shared.exists(node).czxid
        zk.register(PATH, NODE.rpartition('/')[2])
        record, = zk._registrar.records
        data = shared.get(NODE)[0]
        assert shared.get(node)[0] == data
        record.doubt({data}, shared.last_zxid)
        shared.delete(NODE)
        wait_for(lambda: not record.doubtful)
        wait_for(lambda: shared.exists(NODE))
        assert shared.exists(node).czxid == before
