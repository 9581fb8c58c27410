"""Quotas: the numbers that the server keeps."""
import pytest
from kazoo.exceptions import NoNodeError
from zc.zk.embedded import Server
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client

QUOTA = '/zookeeper/quota'
LIMIT = b'count=1,bytes=-1'


@pytest.fixture
def kazoo(zookeeper, client):
    """A client that sees the whole tree, and a place for the test."""
    kazoo = client(zookeeper.hosts)
    kazoo.root = zookeeper.chroot
    yield kazoo
    for name in 'zookeeper_limits', 'zookeeper_stats', '':
        try:
            kazoo.delete(f'{QUOTA}{kazoo.root}/{name}'.rstrip('/'))
        except NoNodeError:
            pass


def set_quota(kazoo, place):
    """Do what zkCli.sh's command setquota does."""
    kazoo.ensure_path(QUOTA + place)
    kazoo.create(f'{QUOTA}{place}/zookeeper_limits', LIMIT)
    kazoo.create(f'{QUOTA}{place}/zookeeper_stats', b'count=0,bytes=0')


def numbers(kazoo, place):
    return kazoo.get(f'{QUOTA}{place}/zookeeper_stats')[0]


def test_numbers_follow_the_tree(kazoo):
    root = kazoo.root
    kazoo.set(root, b'12345')
    kazoo.create(root + '/a', b'123')
    set_quota(kazoo, root)
    assert numbers(kazoo, root) == b'count=2,bytes=8'
    kazoo.create(root + '/a/b', b'1')  # beyond the limit, which is soft
    kazoo.create(root + '/e', b'1', ephemeral=True)
    assert numbers(kazoo, root) == b'count=4,bytes=10'
    kazoo.set(root + '/a', b'')
    assert numbers(kazoo, root) == b'count=4,bytes=7'
    kazoo.delete(root + '/a/b')
    transaction = kazoo.transaction()
    transaction.create(root + '/c', b'12')
    transaction.check(root, version=99)
    transaction.commit()  # in vain
    assert numbers(kazoo, root) == b'count=3,bytes=6'
    kazoo.delete(f'{QUOTA}{root}/zookeeper_limits')
    kazoo.create(root + '/d', b'12')
    assert numbers(kazoo, root) == b'count=3,bytes=6'


def test_numbers_change_no_version(kazoo):
    root = kazoo.root
    set_quota(kazoo, root)
    before = kazoo.get(f'{QUOTA}{root}/zookeeper_stats')[1]
    kazoo.create(root + '/a')
    after = kazoo.get(f'{QUOTA}{root}/zookeeper_stats')[1]
    assert (before.version, before.mzxid) == (after.version, after.mzxid)


def test_a_neighbour_with_a_longer_name_is_not_counted(kazoo):
    set_quota(kazoo, kazoo.root)
    kazoo.create(kazoo.root + '-neighbour', b'1')
    try:
        assert numbers(kazoo, kazoo.root) == b'count=1,bytes=0'
    finally:
        kazoo.delete(kazoo.root + '-neighbour')


def test_numbers_are_kept_in_the_data_file(tmp_path):
    for number in range(3):
        with Server(data=tmp_path / 'data') as server:
            client = start_client(server.connection_string)
            if not number:
                client.create('/a')
                set_quota(client, '/a')
            client.create(f'/a/{number}', b'1')
            number += 1
            assert numbers(client, '/a') == b'count=%d,bytes=%d' % (
                number + 1, number)
            stop_client(client)
