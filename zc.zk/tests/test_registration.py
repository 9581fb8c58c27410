"""Registrations that stay true, whatever happens to them."""
import logging
import os
import threading
import time

import pytest
import zc.zk
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.security import ACL
from kazoo.security import ANYONE_ID_UNSAFE
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import Permissions
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from zc.zk.registration.reconciler import Reconciler
from zc.zk.registration.registrar import Registrar
from zc.zk.testing.waiting import wait_for
from zc_zk_support import versions

PATH = '/service/providers'
NODE = PATH + '/192.0.2.7:8080'
ADDRESS = '192.0.2.7', 8080


@pytest.fixture
def connect(request):
    """Make ZooKeeper objects on the test's server, closed after the test."""
    made = []

    def connect(session_timeout=5., **options):
        name = next(name for name in ('zookeeper', 'zookeeper_server',
                                      'ensemble')
                    if name in request.fixturenames)
        where = request.getfixturevalue(name)
        made.append(zc.zk.ZooKeeper(where.connection_string,
                                    session_timeout, **options))
        if not made[-1].exists('/service'):
            made[-1].client.ensure_path(PATH)
        return made[-1]

    yield connect
    for zk in made:
        zk.close()


@pytest.fixture
def patient(monkeypatch):
    """Changes get 30 s, not the 1 s after which one goes on without them."""
    request = Registrar.request
    monkeypatch.setattr(Registrar, 'request', lambda self, record, timeout:
                        request(self, record, 30))


@pytest.fixture
def zk(zookeeper, connect, patient):
    return connect()


def owner(zk, path=NODE):
    stat = zk.exists(path)
    return stat and stat.ephemeralOwner


def session(zk):
    return zk.client.client_id[0]


def is_back(registration, times=1):
    """Whether its nodes are there again, and it knows.

    It counts first, and logs that before its state changes.
    """
    return (registration.reregistered == times
            and registration.state == 'registered')


def note_states(zk):
    """A list that gets the states of a connection, however short."""
    states = []
    zk.client.add_listener(states.append)
    return states


def test_register_makes_an_ephemeral_node(zookeeper, no_leaks, zk):
    registration = zk.register(PATH, ADDRESS, color='red')
    data, stat = zk.get(NODE)
    assert zc.zk.decode(data) == {'color': 'red', 'pid': os.getpid()}
    assert stat.ephemeralOwner == session(zk)
    assert zk.client.get_acls(NODE)[0] == READ_ACL_UNSAFE
    assert registration.paths == (NODE,)
    assert registration.state == 'registered'
    assert registration.properties == zc.zk.decode(data)
    assert registration.reregistered == 0
    assert registration.last_error is None
    assert repr(registration) == f'<Registration {NODE}: registered>'


def test_register_server_is_the_same(zk):
    assert zk.register_server(PATH, '192.0.2.7:8080').paths == (NODE,)


def test_register_follows_links(zk):
    zk.ln(PATH, '/service/link')
    assert zk.register('/service/link', ADDRESS).paths == (NODE,)


def test_register_at_the_root(zk):
    assert zk.register('/', 'a:1').paths == ('/a:1',)
    assert zk.is_ephemeral('/a:1')


def test_register_where_there_is_no_node(zk):
    with pytest.raises(NoNodeError, match='/nowhere'):
        zk.register('/nowhere', ADDRESS)


def test_register_below_an_ephemeral_node(zk):
    zk.register(PATH, ADDRESS)
    with pytest.raises(KazooException, match=NODE):
        zk.register(NODE, 'a:1')


def test_register_twice(zk):
    registration = zk.register(PATH, ADDRESS)
    with pytest.raises(NodeExistsError, match='registered here already'):
        zk.register(PATH, ADDRESS)
    registration.withdraw()
    assert zk.register(PATH, ADDRESS).state == 'registered'


def test_register_with_nonsense(zk):
    with pytest.raises(TypeError):
        zk.register(PATH, ADDRESS, acl='nonsense')
    with pytest.raises(TypeError):
        zk.register(PATH, ADDRESS, value=object())
    assert zk.register(PATH, ADDRESS).state == 'registered'


def test_an_acl_is_kept(zk, zookeeper):
    acl = [ACL(Permissions.READ | Permissions.ADMIN, ANYONE_ID_UNSAFE)]
    registration = zk.register(PATH, ADDRESS, acl)
    assert zk.client.get_acls(NODE)[0] == acl
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered)
    assert zk.client.get_acls(NODE)[0] == acl


def test_creator_acl(zookeeper, connect, client, patient):
    zk = connect(auth=[('digest', 'me:secret')])
    registration = zk.register(PATH, ADDRESS, zc.zk.creator_acl())
    assert registration.update(a=1)
    stranger = client()
    assert b'"a":1' in stranger.get(NODE)[0]
    with pytest.raises(KazooException):
        stranger.set(NODE, b'')


def test_several_nodes_at_once(zk, monkeypatch):
    names = '192.0.2.1:80', '192.0.2.2:80'
    monkeypatch.setattr(zc.zk.client, 'node_names', lambda addr: names)
    registration = zk.register(PATH, ('', 80))
    assert registration.paths == tuple(f'{PATH}/{name}' for name in names)
    assert sorted(zk.get_children(PATH)) == list(names)
    stats = [zk.exists(path) for path in registration.paths]
    assert stats[0].czxid == stats[1].czxid
    assert registration.withdraw()
    assert zk.get_children(PATH) == []


def test_all_nodes_or_none(zk, monkeypatch):
    names = '192.0.2.1:80', '192.0.2.2:80'
    monkeypatch.setattr(zc.zk.client, 'node_names', lambda addr: names)
    zk.create(f'{PATH}/192.0.2.2:80')
    with pytest.raises(NodeExistsError, match='192.0.2.2:80 exists and is '
                                              'not ephemeral'):
        zk.register(PATH, ('', 80))
    assert zk.get_children(PATH) == ['192.0.2.2:80']
    zk.delete(f'{PATH}/192.0.2.2:80')
    assert zk.register(PATH, ('', 80)).state == 'registered'


def test_subscribers_add_properties(zk):
    events = []

    def subscriber(event):
        events.append(event)
        event.properties['added'] = 1

    zc.zk.event.subscribers.append(subscriber)
    try:
        zk.ln(PATH, '/service/link')
        zk.register('/service/link', ADDRESS, given=2)
    finally:
        zc.zk.event.subscribers.remove(subscriber)
    [event] = events
    assert (event.name, event.path) == ('192.0.2.7:8080', PATH)
    properties = {'given': 2, 'pid': os.getpid(), 'added': 1}
    assert event.properties == properties
    assert repr(event) == (f"RegisteringServer('192.0.2.7:8080', '{PATH}', "
                           f'{event.properties!r})')
    assert zk.get_properties(NODE) == properties


# Changes


def test_update(zk):
    registration = zk.register(PATH, ADDRESS, a=1, b=2)
    assert registration.update({'b': 2.5}, b=3, c=4, timeout=5)
    expected = {'a': 1, 'b': 3, 'c': 4, 'timeout': 5,
                'pid': os.getpid()}
    assert zk.get_properties(NODE) == registration.properties == expected
    assert registration.state == 'registered'
    assert registration.reregistered == 0


def test_update_of_a_writable_node_leaves_it_in_place(zk):
    registration = zk.register(PATH, ADDRESS, zc.zk.OPEN_ACL_UNSAFE, a=1)
    created = zk.exists(NODE).czxid
    assert registration.update(a=2)
    assert zk.get_properties(NODE)['a'] == 2
    assert zk.exists(NODE).czxid == created


@pytest.mark.parametrize('acl', [zc.zk.READ_ACL_UNSAFE,
                                 zc.zk.OPEN_ACL_UNSAFE])
def test_updated_properties_come_back(zk, zookeeper, acl):
    registration = zk.register(PATH, ADDRESS, acl, a=1)
    registration.update(a=2)
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered == 1)
    assert zk.get_properties(NODE)['a'] == 2


def test_set_data_come_back(zk, zookeeper):
    registration = zk.register(PATH, ADDRESS, zc.zk.OPEN_ACL_UNSAFE)
    zk.set(NODE, b'{"a": 5}')
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered == 1)
    assert zk.get_properties(NODE) == {'a': 5} == registration.properties


def test_withdraw_and_restore(zk):
    registration = zk.register(PATH, ADDRESS, a=1)
    assert registration.withdraw()
    assert registration.withdraw()
    assert not zk.exists(NODE)
    assert registration.state == 'withdrawn'
    assert registration.restore()
    assert registration.restore()
    assert zk.get_properties(NODE)['a'] == 1
    assert registration.state == 'registered'
    assert registration.reregistered == 0


def test_withdrawn_stays_away(zk, zookeeper):
    registration = zk.register(PATH, ADDRESS)
    other = zk.register(PATH, 'other:1')
    registration.withdraw()
    registration.update(a=3)
    zookeeper.expire(zk.client)
    wait_for(lambda: other.reregistered)
    assert zk.get_children(PATH) == ['other:1']
    assert registration.restore()
    assert zk.get_properties(NODE)['a'] == 3


def test_withdraw_leaves_the_node_of_another(zk, connect):
    registration = zk.register(PATH, ADDRESS)
    other = connect()
    other.register(PATH, ADDRESS)
    assert registration.withdraw()
    assert owner(zk) == session(other)


def test_delete_withdraws(zk):
    registration = zk.register(PATH, ADDRESS)
    zk.delete(NODE)
    assert registration.state == 'withdrawn'
    assert registration.restore()
    assert owner(zk) == session(zk)


def test_withdraw_is_fast(zk):
    times = []
    for _ in range(9):
        registration = zk.register(PATH, ADDRESS)
        started = time.monotonic()
        assert registration.withdraw()
        times.append(time.monotonic() - started)
    # The machine may be slow now and then: whatever waits, waits each time.
    assert min(times) < .5


def test_close_removes_the_node(zk, connect):
    witness = connect()
    registration = zk.register(PATH, ADDRESS)
    zk.close()
    zk.close()
    assert not witness.exists(NODE)
    assert registration.state == 'lost'
    assert not registration.withdraw()


def test_updates_from_several_threads(zk):
    registration = zk.register(PATH, ADDRESS)

    def update(number):
        for serial in range(10):
            registration.update({f'{number}-{serial}': serial})

    threads = [threading.Thread(target=update, args=[number])
               for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(zk.get_properties(NODE)) == 41


def test_withdrawn_registrations_are_forgotten(zk):
    for _ in range(3):
        zk.register(PATH, ADDRESS).withdraw()
    wait_for(lambda: not zk._registrar._records)


# Faults


def test_session_expired(zookeeper, no_leaks, zk, client, caplog):
    witness = client()
    registration = zk.register(PATH, ADDRESS, a=1)
    before = session(zk)
    connected = []
    zk.client.add_listener(
        lambda state: state == KazooState.CONNECTED
        and connected.append(time.monotonic()))
    zookeeper.expire(zk.client)
    wait_for(lambda: witness.exists(NODE), interval=.001)
    assert time.monotonic() - connected[0] < 8
    wait_for(lambda: is_back(registration))
    assert owner(zk) == session(zk) != before
    assert zk.get_properties(NODE) == {'a': 1, 'pid': os.getpid()}
    assert f'Registered again: {NODE}' in caplog.text


def test_session_survived(zk, caplog):
    registration = zk.register(PATH, ADDRESS)
    created = zk.exists(NODE).czxid
    states = note_states(zk)
    for count in range(1, 4):
        zk.client.handler._socket.shutdown(2)
        wait_for(lambda: states.count(KazooState.CONNECTED) == count)  # noqa: B023
    # The watch is set again too:
    zk.client.delete(NODE)
    wait_for(lambda: is_back(registration))
    assert states == [KazooState.SUSPENDED, KazooState.CONNECTED] * 3
    assert zk.exists(NODE).czxid > created
    [warning] = [record.message for record in caplog.records
                 if record.name == 'zc.zk.registration'
                 and record.levelno == logging.WARNING]
    assert warning == f'{NODE} was deleted by somebody; registered again'


def test_deleted_by_somebody(zk, client, caplog):
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


def test_stale_node_that_nobody_may_read(zookeeper, client, connect, caplog):
    killed = client()
    killed.ensure_path(PATH)
    killed.create(NODE, b'{"pid": 4711}', ephemeral=True,
                  acl=[ACL(Permissions.WRITE, ANYONE_ID_UNSAFE)])
    zk = connect()
    zk.register(PATH, ADDRESS)
    assert owner(zk) == session(zk)
    whose = ('somebody unknown (we may not read it)'
             if versions.does(zookeeper, *versions.EXISTS_ASKS)
             else f'pid unknown, session 0x{killed.client_id[0]:x}')
    assert f'{NODE}: replaced the node of {whose}' in caplog.text
    zookeeper.expire(killed)
    assert owner(zk) == session(zk)


def test_stale_node_that_nobody_may_read_nor_delete(zk, client):
    owner = client(auth_data=[('digest', 'user:secret')])
    mine = make_digest_acl('user', 'secret', all=True)
    owner.create('/closed', b'', [mine, make_acl(
        'world', 'anyone', read=True, create=True)])
    owner.create('/closed/192.0.2.7:8080', b'', [mine], ephemeral=True)
    with pytest.raises(NoAuthError, match='^/closed/192.0.2.7:8080 .DELETE'):
        zk.register('/closed', ADDRESS)
    owner.set_acls('/closed', OPEN_ACL_UNSAFE)


def test_node_of_our_own_that_we_may_not_read(zk, client, caplog):
    """Only who knows the password may; some keep providers to themselves."""
    registration = zk.register(PATH, ADDRESS, [make_digest_acl(
        'user', 'secret', read=True)], a=1)
    reader = client(auth_data=[('digest', 'user:secret')])
    assert registration.update(a=2)
    assert b'"a":2' in reader.get(NODE)[0]
    assert registration.state == 'registered'
    assert registration.reregistered == 0
    assert 'another process' not in caplog.text
    assert registration.withdraw()
    assert not reader.exists(NODE)
    assert registration.restore()
    assert reader.exists(NODE).ephemeralOwner == session(zk)


def test_another_process_whose_node_we_may_not_read(
        zookeeper, zk, client, caplog):
    registration = zk.register(PATH, ADDRESS)
    other = client(auth_data=[('digest', 'user:secret')])
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.create(NODE, b'', [make_digest_acl(
        'user', 'secret', all=True)], ephemeral=True)
    transaction.commit()
    wait_for(lambda: registration.state == 'displaced')
    if versions.does(zookeeper, *versions.EXISTS_ASKS):
        assert registration.last_error == (
            f'{NODE} is registered by another process: somebody unknown'
            ' (we may not read it)')
    assert f'{registration.last_error}. It is left to them' in caplog.text
    assert registration.withdraw()
    assert other.exists(NODE)
    assert not registration.restore()
    assert registration.state == 'displaced'
    other.delete(NODE)  # of which servers do not tell us
    wait_for(lambda: is_back(registration))
    assert owner(zk) == session(zk)


def test_not_allowed(zk):
    zk.create('/closed', b'', [ACL(Permissions.READ, ANYONE_ID_UNSAFE)])
    with pytest.raises(NoAuthError, match='^/closed/192.0.2.7:8080 .CREATE'):
        zk.register('/closed', ADDRESS)


def test_somebody_else_is_quicker(zk, client, monkeypatch):
    """Between our look at the nodes and what we make of it."""
    other = client()
    nodes = zk._registrar.reconciler._nodes
    look = nodes.fetch_stats
    steps = iter([
        lambda: other.create(NODE, b'', ephemeral=True),
        lambda: other.delete(NODE),
        lambda: other.create(NODE, b'', ephemeral=True),
        lambda: other.set(NODE, b''),
    ])

    def look_and_be_late(*args):
        stats = look(*args)
        next(steps, int)()
        return stats

    monkeypatch.setattr(nodes, 'fetch_stats', look_and_be_late)
    registration = zk.register(PATH, ADDRESS)
    assert next(steps, None) is None
    assert owner(zk) == session(zk)
    assert registration.state == 'registered'


def test_somebody_else_is_quicker_again_and_again(zk, client, monkeypatch):
    other = client()
    nodes = zk._registrar.reconciler._nodes
    look = nodes.fetch_stats
    steps = iter([lambda: other.create(NODE, b'', ephemeral=True),
                  lambda: other.delete(NODE)] * 4)
    monkeypatch.setattr(nodes, 'fetch_stats', lambda *args: (
        look(*args), next(steps, int)())[0])
    assert zk.register(PATH, ADDRESS).state == 'registered'
    assert next(steps, None) is None


def test_node_of_an_earlier_session_of_our_own(zk, zookeeper, client):
    registration = zk.register(PATH, ADDRESS)
    other = client()
    zk._registrar.reconciler.sessions.add(other.client_id[0])
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.create(NODE, b'', ephemeral=True)
    transaction.commit()
    wait_for(lambda: registration.reregistered == 1)
    assert owner(zk) == session(zk)


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
    # It is not fought over:
    created = zk.exists(NODE).czxid
    assert not mine.update(a=1)
    assert not mine.restore()
    assert zk.exists(NODE).czxid == created
    assert theirs.state == 'registered'
    assert theirs.reregistered == 0
    assert caplog.text.count(message + '. It is left to them') == 1
    # It is taken back when they are gone:
    theirs.withdraw()
    wait_for(lambda: is_back(mine))
    assert owner(zk) == session(zk)
    assert zk.get_properties(NODE)['a'] == 1
    assert caplog.messages[-1] == f'Registered again: {NODE}'


def test_who_comes_back_says_so_once_the_node_is_there(
        zk, connect, monkeypatch):
    mine, other = zk.register(PATH, ADDRESS), connect()
    theirs = other.register(PATH, ADDRESS)
    wait_for(lambda: mine.state == 'displaced')
    displace, seen = Reconciler._note_displaced, []

    def watched(*arguments):
        displace(*arguments)
        seen.append((mine.state, owner(other) is not None))

    monkeypatch.setattr(Reconciler, '_note_displaced', watched)
    theirs.withdraw()
    wait_for(lambda: mine.state == 'registered')
    # It may have looked once more while the other's node was there.
    assert ('lost', False) in seen
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


def test_parent_missing(zk, client, caplog):
    other = client()
    registration = zk.register(PATH, ADDRESS)
    # At once, else it is back in between.
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.delete(PATH)
    transaction.commit()
    wait_for(lambda: registration.last_error)
    assert registration.last_error == f'NoNodeError: {PATH}'
    assert registration.state == 'lost'
    wait_for(lambda: f'{NODE} not registered: NoNodeError: {PATH}; trying '
                     'again' in caplog.text)
    wait_for(lambda: registration._record.failures > 2)
    other.create(PATH)
    wait_for(lambda: registration.state == 'registered')
    assert caplog.text.count('trying again') == 1


def test_parent_moved_behind_a_link(zk, client):
    other = client()
    registration = zk.register(PATH, ADDRESS)
    other.create('/moved')
    transaction = other.transaction()
    transaction.set_data('/service', b'{"providers ->": "/moved"}')
    transaction.delete(NODE)
    transaction.delete(PATH)
    transaction.commit()
    wait_for(lambda: registration.paths == ('/moved/192.0.2.7:8080',)
             and registration.state == 'registered')
    assert other.get_children('/moved') == ['192.0.2.7:8080']


def test_a_client_of_the_callers_own(zookeeper, client, no_leaks):
    kazoo = client()
    kazoo.ensure_path(PATH)
    zk = zc.zk.ZooKeeper(kazoo)
    registration = zk.register(PATH, ADDRESS)
    kazoo.delete(NODE)
    wait_for(lambda: registration.reregistered == 1)
    zk.close()
    assert kazoo.connected
    assert not kazoo.exists(NODE)
    assert not kazoo.state_listeners


def test_close_ends_a_register_that_waits(zookeeper, no_leaks, connect):
    zk = connect()
    raised = []

    def register(address):
        try:
            zk.register(PATH, address)
        except ConnectionClosedError as error:
            raised.append(error)

    zk._registrar.reconciler.reconcile = lambda record: wait_for(
        lambda: zk._registrar._tasks.closed)
    threads = [threading.Thread(target=register, args=[address])
               for address in ('a:1', 'b:1')]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(zk._registrar._unsettled) == 2)
    zk.close()
    for thread in threads:
        thread.join()
    assert len(raised) == 2


# Servers that are away


def test_server_stopped_longer_than_the_session(zookeeper_server, connect,
                                                client):
    zk = connect(1., wait=True)
    registration = zk.register(PATH, ADDRESS, a=1)
    states = note_states(zk)
    zookeeper_server.stop()
    wait_for(lambda: KazooState.SUSPENDED in states)
    wait_for(lambda: registration.state == 'lost')
    zookeeper_server.start()
    answering = time.monotonic()
    wait_for(lambda: registration.state == 'registered')
    assert time.monotonic() - answering < 8
    assert client().get_children(PATH) == ['192.0.2.7:8080']
    assert zk.get_properties(NODE)['a'] == 1


def test_server_killed_and_started(zookeeper_server, connect, client):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.kill()
    wait_for(lambda: registration.state == 'suspended')
    zookeeper_server.start()
    wait_for(lambda: registration.state == 'registered')
    assert owner(zk) == session(zk)
    # Whether the session survived or not, it is watched again:
    client().delete(NODE)
    wait_for(lambda: owner(zk) == session(zk))


def test_server_paused_longer_than_the_session(zookeeper_server, connect):
    zk = connect(1., wait=True)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    wait_for(lambda: registration.state == 'lost')
    started = time.monotonic()
    assert not registration.update(a=1)
    assert not registration.withdraw(.2)
    assert not registration.restore(.2)
    assert time.monotonic() - started < 8
    zookeeper_server.resume()
    wait_for(lambda: registration.state == 'registered')
    wait_for(lambda: zk.get_properties(NODE).get('a') == 1)
    assert owner(zk) == session(zk)


def test_withdrawn_while_the_server_is_paused(zookeeper_server, connect,
                                              client):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    started = time.monotonic()
    assert not registration.withdraw(.2)
    assert time.monotonic() - started < 8
    assert registration.state == 'withdrawn'
    zookeeper_server.resume()
    witness = client()
    wait_for(lambda: not witness.exists(NODE))


def test_close_while_the_server_is_paused(zookeeper_server, connect):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    registration.withdraw(.1)
    started = time.monotonic()
    zk.close()
    assert time.monotonic() - started < 8
    assert not [thread for thread in threading.enumerate()
                if thread.name.startswith('zc.zk')]


def test_leader_killed(ensemble, connect):
    zk = connect(10.)
    registration = zk.register(PATH, ADDRESS)
    ensemble.kill_leader()
    wait_for(lambda: zk.client.connected
             and registration.state == 'registered', 30)
    # The new leader may yet close connections that it got too early.
    retry = zk.client.retry
    assert retry(zk.get_children, PATH) == ['192.0.2.7:8080']
    assert retry(owner, zk) == session(zk)
    assert registration.reregistered == 0
