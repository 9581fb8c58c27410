"""Never the last one: servers that leave only if others are left."""
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zc.zk.client import ZooKeeper
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import PATH

SERVERS = 20


@pytest.fixture
def two(zookeeper, connect, patient):
    """Two registrations, of a session each."""
    return [connect().register(PATH, f'192.0.2.{number}:80')
            for number in (1, 2)]


def test_the_last_one_stays(two, connect):
    first, second = two
    zk = connect()
    assert first.leave()
    assert first.state == 'withdrawn'
    assert zk.get_children(PATH) == ['192.0.2.2:80']
    assert not second.leave()
    assert second.state == 'registered'
    assert zk.get_children(PATH) == ['192.0.2.2:80']
    assert first.restore()
    assert second.leave()
    assert zk.get_children(PATH) == ['192.0.2.1:80']


def test_more_than_one_can_be_asked_for(two, connect):
    assert not two[0].leave(2)
    connect().register(PATH, '192.0.2.3:80')
    assert two[0].leave(2)
    assert not two[1].leave(2)
    assert two[1].leave(0)


def test_nodes_of_ones_own_do_not_count(zookeeper, connect, patient,
                                        monkeypatch):
    monkeypatch.setattr('zc.zk.addresses.interface_addresses',
                        lambda family: ['192.0.2.8', '192.0.2.9'])
    zk = connect()
    registration = zk.register(PATH, ':80')
    assert len(zk.get_children(PATH)) == 2
    assert not registration.leave()
    connect().register(PATH, '192.0.2.1:80')
    assert registration.leave()
    assert zk.get_children(PATH) == ['192.0.2.1:80']


def test_a_withdrawal_needs_no_others(two, connect):
    assert not two[0].leave(2)
    assert two[0].withdraw()
    assert two[1].withdraw()
    assert connect().get_children(PATH) == []


def test_who_could_not_leave_is_created_again(two, connect, zookeeper):
    first, second = two
    assert first.leave() and not second.leave()
    zk = connect()
    zk.delete(second.paths[0])
    wait_for(lambda: zk.get_children(PATH) == ['192.0.2.2:80'])


def many(where, keep):
    """Have 20 servers leave at once, again and again; return what is left.

    Each has a session of its own.  It tries until nobody leaves any more.
    """
    with ThreadPoolExecutor(SERVERS) as pool:
        clients = list(pool.map(
            lambda number: ZooKeeper(where, 30), range(SERVERS)))
        try:
            clients[0].client.ensure_path(PATH)
            # Servers of an ensemble may show an older tree.
            for each in clients:
                each.client.sync('/')
            found = list(pool.map(
                lambda pair: pair[1].register(PATH, f'192.0.2.{pair[0]}:80'),
                enumerate(clients)))
            barrier = threading.Barrier(SERVERS)

            def leave(registration):
                barrier.wait(30)
                return sum(registration.leave(keep, 30) for _ in range(3))

            left = list(pool.map(leave, found))
            names = clients[0].get_children(PATH)
            assert {found[number].paths[0].rpartition('/')[2]
                    for number in range(SERVERS) if not left[number]} == (
                set(names))
            return len(names)
        finally:
            list(pool.map(lambda client: client.close(), clients))


@pytest.mark.parametrize('keep', [1, 7])
def test_twenty_leave_at_once(zookeeper, keep):
    for _ in range(3):
        assert many(zookeeper.connection_string, keep) == keep


def test_twenty_leave_an_ensemble_at_once(ensemble):
    for _ in range(5):
        assert many(ensemble.connection_string, 1) == 1


# The protocol by itself, with every order of its steps: a step of a server is
# to read the names, or to commit what it has read.

class Tree:
    """What the protocol needs of ZooKeeper: names, and transactions."""

    def __init__(self, names):
        self.names = set(names)

    def commit(self, own, witnesses):
        if not {own, *witnesses} <= self.names:
            raise Conflict(own)
        self.names.remove(own)


class Model(Ephemerals):
    """The real choice of others, with the names of a Tree."""

    def __init__(self, tree):
        self.tree = tree
        self._client = type('Client', (), {'get_children_async': None})
        self._requests = self

    def ask(self, request, parent):
        return sorted(self.tree.names)


def server(tree, name, keep):
    """A generator: one step of the protocol each, to the end."""
    nodes = Model(tree)
    while True:
        witnesses = nodes.choose_others(['/' + name], keep)
        yield
        if witnesses is None:
            return
        try:
            tree.commit(name, [path[1:] for path in witnesses])
            return
        except Conflict:
            yield


@settings(max_examples=3 * settings.default.max_examples)
@given(st.integers(1, 20), st.integers(0, 21), st.data())
def test_any_order_of_steps_leaves_enough(servers, keep, data):
    tree = Tree(map(str, range(servers)))
    running = [server(tree, str(number), keep) for number in range(servers)]
    while running:
        one = data.draw(st.sampled_from(running))
        try:
            next(one)
        except StopIteration:
            running.remove(one)
        assert len(tree.names) >= min(keep, servers)
    assert len(tree.names) == min(keep, servers)
