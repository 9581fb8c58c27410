"""A tree that is read whenever anything has changed."""
import time

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl
from zc.zk.live.tree import LiveTree
from zc.zk.testing.waiting import wait_for
from zc.zk.tree.node import UNREADABLE


@pytest.fixture
def zk(connect):
    """A connection to the test's ZooKeeper."""
    return connect()


@pytest.fixture
def live(zk):
    """The tree below /service."""
    return LiveTree(zk, '/service')


def look(live):
    """Look until something new is read."""
    return wait_for(live.look, 10, 'something new')


def test_a_tree_is_read_when_something_has_changed(zookeeper, zk, live):
    assert live.tree is None
    look(live)
    assert sorted(live.tree.children) == ['providers']
    before = live.tree
    zk.client.create('/service/a', b'{"x": 1}')
    look(live)
    assert sorted(live.tree.children) == ['a', 'providers']
    assert live.tree.children['a'].properties == {'x': 1}
    assert live.tree.children['a'].stat.version == 0
    assert sorted(before.children) == ['providers']
    zk.client.set('/service/a', b'{"x": 2}')
    look(live)
    assert live.tree.children['a'].properties == {'x': 2}


def test_a_tree_at_rest_is_not_read(zookeeper, zk, live):
    look(live)
    looks = live.looks
    assert [live.look() for _ in range(20)] == [False] * 20
    assert live.looks == looks
    assert live.stale_since is None


def test_a_change_elsewhere_is_no_harm(zookeeper, zk, live):
    look(live)
    zk.client.create('/elsewhere')
    look(live)
    assert sorted(live.tree.children) == ['providers']


def test_a_node_that_does_not_exist(zookeeper, zk):
    live = LiveTree(zk, '/nosuch')
    look(live)
    assert live.tree is None
    zk.client.create('/nosuch')
    look(live)
    assert live.tree.name == 'nosuch'
    zk.client.delete('/nosuch')
    look(live)
    assert live.tree is None


def test_ephemeral_nodes_have_their_session(zookeeper, zk, live):
    zk.register('/service/providers', '127.0.0.1:8080')
    look(live)
    node = live.tree.children['providers'].children['127.0.0.1:8080']
    assert node.ephemeral
    assert node.stat.ephemeralOwner == zk.client.client_id[0]
    assert abs(node.stat.ctime / 1000 - time.time()) < 60


def test_what_may_not_be_read(zookeeper, zk, live):
    secret = [make_digest_acl('u', 'p', all=True)]
    zk.client.create('/service/a', acl=secret)
    look(live)
    assert live.tree.children['a'].marks == {UNREADABLE}
    zk.client.create('/b', acl=secret)
    with pytest.raises(NoAuthError):
        LiveTree(zk, '/b').look()


def test_while_zookeeper_is_away_the_tree_stays(zookeeper_server, connect):
    zk = connect()
    live = LiveTree(zk, '/service', answer_s=0.5)
    look(live)
    before = time.time()
    zookeeper_server.kill()
    wait_for(lambda: not live.look() and live.stale_since, 20, 'the loss')
    assert before <= live.stale_since <= time.time()
    since = live.stale_since
    assert not live.look()
    assert live.stale_since == since
    assert sorted(live.tree.children) == ['providers']
    zookeeper_server.start()
    wait_for(lambda: live.look() or live.stale_since is None, 30, 'the return')
    zk.client.retry(zk.client.create, '/service/a')
    wait_for(lambda: live.look() and 'a' in live.tree.children, 20, 'the node')
