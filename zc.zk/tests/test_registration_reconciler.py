"""Nodes that other clients delete, own or create, and lost answers."""
import os
import time
import types

import pytest
import zc.zk
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import UnimplementedError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import Misplaced
from zc.zk.registration.reconciler import MAX_CONFLICTS
from zc.zk.registration.reconciler import Reconciler
from zc.zk.registration.record import Record
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import ADDRESS
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH
from zc_zk_support.registrations import is_back
from zc_zk_support.registrations import owner
from zc_zk_support.registrations import session


@pytest.fixture
def zk(zookeeper, connect, patient):
    return connect()


def test_deleted_by_another_client(zk, client, caplog):
    other = client()
    registration = zk.register(PATH, ADDRESS, a=1)
    for count in range(1, 4):
        deleted = time.monotonic()
        other.delete(NODE)
        wait_for(lambda: other.exists(NODE), interval=.001)
        assert time.monotonic() - deleted < 8
        wait_for(lambda: is_back(registration, count))  # noqa: B023
    assert zk.get_properties(NODE)['a'] == 1
    assert caplog.text.count('was deleted by somebody') == 3


def test_stale_node_of_a_killed_former_self(zookeeper, client, connect,
                                            caplog):
    killed = client()
    killed.ensure_path(PATH)
    killed.create(NODE, b'{"pid": 4711}', ephemeral=True)
    zk = connect()
    registration = zk.register(PATH, ADDRESS)
    assert owner(zk) == session(zk)
    assert (f'{NODE}: replaced the node of pid 4711, '
            f'session 0x{killed.client_id[0]:x}') in caplog.text
    zookeeper.expire(killed)
    assert owner(zk) == session(zk)
    assert registration.reregistered == 0


def interfere(monkeypatch, steps):
    """Call one of the functions after each first read of the nodes."""
    fetch_stats = Ephemerals.fetch_stats

    def fetch_stats_and_interfere(*args, watch=True):
        stats = fetch_stats(*args, watch)
        if watch:
            next(steps, int)()
        return stats

    monkeypatch.setattr(Ephemerals, 'fetch_stats', fetch_stats_and_interfere)


def test_another_client_is_faster(zk, client, monkeypatch):
    other = client()
    steps = iter([
        lambda: other.create(NODE, b'', ephemeral=True),
        lambda: other.delete(NODE),
        lambda: other.create(NODE, b'', ephemeral=True),
        lambda: other.set(NODE, b''),
    ])
    interfere(monkeypatch, steps)
    registration = zk.register(PATH, ADDRESS)
    assert next(steps, None) is None
    assert owner(zk) == session(zk)
    assert registration.state == 'registered'


def test_another_client_is_faster_again_and_again(zk, client, monkeypatch):
    other = client()
    steps = iter([lambda: other.create(NODE, b'', ephemeral=True),
                  lambda: other.delete(NODE)] * 4)
    interfere(monkeypatch, steps)
    assert zk.register(PATH, ADDRESS).state == 'registered'
    assert next(steps, None) is None


def test_node_of_an_earlier_session_of_our_own(registrar, record, client):
    registrar.register(record)
    before, other = record.session, client()
    registrar.reconciler.sessions.add(other.client_id[0])
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.create(NODE, b'', ephemeral=True)
    transaction.commit()
    wait_for(lambda: record.reregistered == 1 and record.session == before)
    assert other.exists(NODE).ephemeralOwner == before


def test_node_that_our_session_has_already(zk):
    zk.create(NODE, b'{"old": 1}', ephemeral=True)
    registration = zk.register(PATH, ADDRESS, a=1)
    assert zk.get_properties(NODE) == {'a': 1, 'pid': os.getpid()}
    assert registration.state == 'registered'


def test_displaced_by_a_live_process(zk, connect, caplog):
    mine = zk.register(PATH, ADDRESS)
    other = connect()
    theirs = other.register(PATH, ADDRESS)
    wait_for(lambda: mine.state == 'displaced')
    message = (f'{NODE} is registered by another process: pid {os.getpid()}, '
               f'session 0x{session(other):x}')
    assert mine.last_error == message
    assert message in caplog.text
    # The node is left to the other process:
    created = zk.exists(NODE).czxid
    assert not mine.update(a=1)
    assert not mine.restore()
    assert zk.exists(NODE).czxid == created
    assert theirs.state == 'registered'
    assert theirs.reregistered == 0
    assert caplog.text.count(message + '. It is left to them') == 1
    # It is taken back when the other process has withdrawn:
    theirs.withdraw()
    wait_for(lambda: is_back(mine))
    assert owner(zk) == session(zk)
    assert zk.get_properties(NODE)['a'] == 1
    assert caplog.messages[-1] == f'Registered again: {NODE}'


def test_the_state_is_registered_only_when_the_node_is_back(
        zk, connect, monkeypatch):
    mine, other = zk.register(PATH, ADDRESS), connect()
    theirs = other.register(PATH, ADDRESS)
    wait_for(lambda: mine.state == 'displaced')
    commit, seen = Ephemerals.commit, []

    def watched(nodes, changes, acl):
        changes = list(changes)
        if any(change.data is not None for change in changes):
            seen.append((mine.state, owner(other) is not None))
        commit(nodes, changes, acl)

    monkeypatch.setattr(Ephemerals, 'commit', watched)
    theirs.withdraw()
    wait_for(lambda: mine.state == 'registered')
    assert seen[0] == ('lost', False)
    assert ('registered', False) not in seen


def test_displaced_while_the_session_was_lost(zk, zookeeper, connect, caplog):
    mine = zk.register(PATH, ADDRESS)
    other = connect()
    theirs = other.register(PATH, ADDRESS)
    wait_for(lambda: mine.state == 'displaced')
    before = session(zk)
    zookeeper.expire(zk.client)
    wait_for(lambda: zk.client.client_id and session(zk) != before)
    mine.restore()  # returns when the worker has looked
    assert mine.state == 'displaced'
    assert theirs.reregistered == 0
    zookeeper.expire(other.client)
    wait_for(lambda: {mine.state, theirs.state} == {'registered',
                                                    'displaced'})
    assert owner(zk) in (session(zk), session(other))


def test_a_node_made_by_hand_is_left_alone(zk, client, caplog):
    registration = zk.register(PATH, ADDRESS)
    other = client()
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.create(NODE, b'precious')
    transaction.commit()
    wait_for(lambda: registration.state == 'displaced')
    assert zk.get(NODE)[0] == b'precious'
    assert 'it is not ephemeral' in caplog.text
    other.delete(NODE)
    wait_for(lambda: registration.state == 'registered')


def test_one_of_several_nodes_is_displaced(zk, connect, monkeypatch):
    names = '192.0.2.1:80', '192.0.2.2:80'
    monkeypatch.setattr(zc.zk.client, 'node_names', lambda addr: names)
    mine = zk.register(PATH, ('', 80))
    monkeypatch.undo()
    other = connect()
    theirs = other.register(PATH, names[0])
    wait_for(lambda: mine.state == 'displaced')
    other.client.delete(mine.paths[1])
    wait_for(lambda: owner(zk, mine.paths[1]) == session(zk))
    assert owner(zk, mine.paths[0]) == session(other)
    theirs.withdraw()
    wait_for(lambda: mine.state == 'registered')


# Lost answers: no server can be brought to lose them in this order, so the
# nodes are made up.

SESSION = 7
CZXID = 1


class Nodes:
    """Nodes of one session; each function in `plan` gets one transaction."""

    def __init__(self):
        self.data = {}
        self.changed = []
        self.plan = []
        self.owner = SESSION

    def fetch_stats(self, paths, watch=True):
        found = ZnodeStat(CZXID, 0, 0, 0, 0, 0, 0, self.owner, 0, 0, 0)
        return {path: found if path in self.data else None for path in paths}

    def fetch_data(self, paths):
        return {path: (self.data[path], stat)
                for path, stat in self.fetch_stats(paths).items() if stat}

    def fetch_ours(self, path):
        return set(self.data)

    def is_asked_for(self, path):
        return False

    def is_ours(self, path):
        return self.owner == SESSION

    def describe_owner(self, path, stat):
        return f'session {stat.ephemeralOwner}'

    def commit(self, changes, acl):
        (self.plan.pop(0) if self.plan else self.apply)(list(changes))

    def apply(self, changes):
        for change in changes:
            self.data[change.path] = change.data
            self.changed.append(change.path)


@pytest.fixture
def nodes():
    return Nodes()


@pytest.fixture
def reconciler(nodes):
    return Reconciler(types.SimpleNamespace(client_id=(SESSION, b''),
                                            last_zxid=0),
                      nodes, list)


@pytest.mark.parametrize('acl', [OPEN_ACL_UNSAFE, READ_ACL_UNSAFE])
def test_it_is_not_guessed_which_of_two_attempts_created_the_node(
        nodes, reconciler, acl):
    record, late = Record('/p', '/p', ['a'], b'one', acl), []

    def is_late(changes):
        late.extend(changes)
        raise ConnectionLoss

    def comes_first(changes):
        nodes.apply(late)  # so these changes fail, and the answer is lost
        raise ConnectionLoss

    nodes.plan = [is_late, comes_first]
    for data in b'one', b'two':
        record.change(lambda old, data=data: data)
        with pytest.raises(ConnectionLoss):
            reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'one'}
    assert reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'two'}


@pytest.mark.parametrize('acl', [OPEN_ACL_UNSAFE, READ_ACL_UNSAFE])
def test_a_race_for_one_node_leaves_the_other_alone(nodes, reconciler, acl):
    def is_raced(changes):
        raise Conflict('/p/b')

    record = Record('/p', '/p', ['a', 'b'], b'one', acl)
    assert reconciler.reconcile(record)
    del nodes.data['/p/b']
    nodes.changed.clear()
    nodes.plan = [is_raced]
    assert reconciler.reconcile(record)
    assert nodes.changed == ['/p/b']
    assert nodes.data == {'/p/a': b'one', '/p/b': b'one'}


def test_a_node_of_another_process_may_be_equal_to_ours(nodes, reconciler):
    """Two containers can have the same address, pid and properties."""
    def is_replaced(changes):
        nodes.apply(changes)
        nodes.owner = SESSION + 1

    record = Record('/p', '/p', ['a'], b'one', OPEN_ACL_UNSAFE)
    nodes.plan = [is_replaced]
    assert not reconciler.reconcile(record)
    assert record.displaced_by == {'/p/a': SESSION + 1}
    nodes.data.clear()
    nodes.owner = SESSION
    assert reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'one'}


def test_a_node_that_was_created_in_a_session_whose_id_was_wrong(
        nodes, reconciler, monkeypatch):
    """It is ours, though the session ended before it was read back."""
    client = reconciler._client

    def is_created(changes):
        nodes.apply(changes)
        nodes.owner, client.last_zxid = SESSION + 1, CZXID

    def is_cut(paths):
        monkeypatch.undo()
        raise ConnectionLoss

    def cannot_tell(path):
        raise UnimplementedError

    record = Record('/p', '/p', ['a'], b'one', OPEN_ACL_UNSAFE)
    nodes.plan = [is_created]
    nodes.is_ours = cannot_tell  # as ZooKeeper before 3.6
    monkeypatch.setattr(nodes, 'fetch_data', is_cut)
    with pytest.raises(ConnectionLoss):
        reconciler.reconcile(record)
    client.client_id = SESSION + 2, b''
    nodes.plan = [lambda changes: setattr(nodes, 'owner', SESSION + 2)]
    assert reconciler.reconcile(record)
    assert nodes.plan == []
    assert record.displaced_by == {}
    assert record.session == SESSION + 2


def test_a_node_at_a_wrong_path_that_may_not_be_removed(
        nodes, reconciler, caplog):
    """Its server is registered all the same."""
    def is_misplaced(changes):
        nodes.data['/p/b'] = b'one'
        raise Misplaced('/p/b')

    def is_forbidden(changes):
        raise NoAuthError('/p/b (DELETE)')

    record = Record('/p', '/p', ['a'], b'one', OPEN_ACL_UNSAFE)
    nodes.plan = [is_misplaced, is_forbidden]
    assert reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'one', '/p/b': b'one'}
    assert 'we may not remove the node /p/b' in caplog.text


def test_it_gives_up_for_now_when_nodes_keep_changing(nodes, reconciler):
    def is_raced(changes):
        raise Conflict('/p/a')

    record = Record('/p', '/p', ['a'], b'one', OPEN_ACL_UNSAFE)
    nodes.plan = [is_raced] * MAX_CONFLICTS
    with pytest.raises(ConnectionLoss, match='keep changing'):
        reconciler.reconcile(record)
    assert nodes.plan == nodes.changed == []
    assert reconciler.reconcile(record)
    assert nodes.data == {'/p/a': b'one'}


def test_nothing_is_done_without_a_session(nodes):
    reconciler = Reconciler(types.SimpleNamespace(client_id=None), nodes, list)
    record = Record('/p', '/p', ['a'], b'one', OPEN_ACL_UNSAFE)
    with pytest.raises(ConnectionLoss):
        reconciler.reconcile(record)
    assert nodes.data == {}
