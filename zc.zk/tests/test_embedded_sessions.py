"""Test how sessions begin, resume, expire and end."""
import time

import pytest
from kazoo.client import KazooState
from zc.zk.testing.waiting import wait_for
from zc_zk_support import wire
from zc_zk_support.wire import Event
from zc_zk_support.wire import Wire

CREATED, DELETED = 1, 2
#: The timeout, in milliseconds, of a session that is to expire. A busy machine
#: may stall before the test has used the session.
SHORT = 4000


@pytest.fixture
def connect(zookeeper):
    """Return a function that connects; close all connections at the end."""
    made = []

    def connect(*arguments, **options):
        made.append(Wire(zookeeper.hosts).start(*arguments, **options))
        return made[-1]

    yield connect
    for connection in made:
        connection.socket.close()


def ephemeral(connection, path):
    body = wire.creation(path, flags=wire.EPHEMERAL)
    assert connection.request(wire.CREATE, body).code == 0


def watch(connection, path):
    """Set a persistent watch, also before the node exists."""
    body = wire.text(path) + bytes(4)
    assert connection.request(wire.ADD_WATCH, body).code == 0


def exists(connection, path):
    return connection.request(wire.EXISTS, wire.watched(path)).code == 0


def test_timeouts_are_negotiated(connect):
    assert connect(timeout=1).timeout == 400
    assert connect(timeout=-5).timeout == 400
    assert connect(timeout=3000).timeout == 3000
    assert connect(timeout=2**31 - 1).timeout in (4000, 60000)


def test_each_session_has_a_number_and_a_password(connect):
    first, second = connect(), connect()
    assert first.session != second.session
    assert first.password != second.password
    assert len(first.password) == 16 and any(first.password)


def test_old_clients_get_no_read_only_flag(connect):
    assert connect().rest == b'\0'
    assert connect(tail=b'').rest == b''


def test_a_session_outlives_its_connection(connect, zookeeper):
    path = f'{zookeeper.chroot}/mine'
    first = connect()
    ephemeral(first, path)
    first.socket.close()
    again = connect(first.session, first.password)
    assert (again.session, again.password) == (first.session, first.password)
    assert exists(again, path)
    again.request(wire.CLOSE)
    assert not exists(connect(), path)


def test_a_session_can_be_taken_from_a_living_connection(connect):
    first = connect()
    second = connect(first.session, first.password)
    assert second.request(wire.SYNC, wire.text('/')).code == 0
    assert first.is_closed()


def test_a_wrong_password_is_refused_and_the_session_stays(
        connect, zookeeper):
    path = f'{zookeeper.chroot}/mine'
    first = connect()
    ephemeral(first, path)
    thief = connect(first.session, bytes(16))
    assert (thief.timeout, thief.session) == (0, 0)
    assert thief.is_closed()
    again = connect(first.session, first.password)
    assert again.session == first.session
    assert exists(again, path)


def test_an_unknown_session_is_expired(connect):
    connection = connect(12345, bytes(16))
    assert (connection.timeout, connection.session) == (0, 0)
    assert connection.is_closed()


def test_silence_ends_a_session_in_time_and_pings_keep_one(
        connect, zookeeper):
    path = f'{zookeeper.chroot}/mine'
    # Without pings, the busy session would expire as well.
    busy = connect(timeout=SHORT)
    watch(busy, path)
    silent = connect(timeout=SHORT)
    began = time.monotonic()
    ephemeral(silent, path)

    def is_gone():
        assert busy.request(wire.PING, xid=-2).code == 0
        return Event(DELETED, path) in busy.events

    wait_for(is_gone, interval=.05)
    assert time.monotonic() - began >= SHORT / 1000 - .05
    assert not exists(busy, path)
    assert silent.is_closed()
    assert connect(silent.session, silent.password).timeout == 0


def test_a_session_without_connection_ends_too(connect, zookeeper):
    path = f'{zookeeper.chroot}/mine'
    other = connect()
    watch(other, path)
    lost = connect(timeout=SHORT)
    ephemeral(lost, path)
    lost.socket.close()
    assert [other.event(), other.event()] == [
        Event(CREATED, path), Event(DELETED, path)]


def test_closing_a_session_removes_its_ephemerals_at_once(
        connect, zookeeper):
    root = zookeeper.chroot
    first, other = connect(), connect()
    for name in ('a', 'b'):
        ephemeral(first, f'{root}/{name}')
    first.request(wire.CREATE, wire.creation(f'{root}/kept'))
    ephemeral(other, f'{root}/others')
    assert first.request(wire.CLOSE).code == 0
    assert first.is_closed()
    reply = other.request(wire.GET_CHILDREN, wire.watched(root))
    assert reply.body in (
        wire.texts('kept', 'others'), wire.texts('others', 'kept'))


def test_a_client_that_has_seen_a_later_zxid_is_refused(zookeeper):
    with Wire(zookeeper.hosts) as connection:
        with pytest.raises(ConnectionError):
            connection.start(seen=2**62)


def test_kazoo_learns_of_its_end(zookeeper, client):
    kazoo = client()
    states = []
    kazoo.add_listener(states.append)
    kazoo.create('/mine', ephemeral=True)
    zookeeper.expire(kazoo)
    wait_for(lambda: KazooState.LOST in states)
    wait_for(lambda: kazoo.connected)
    assert not kazoo.exists('/mine')


def test_a_restart_lets_clients_that_saw_more_come_back(
        zookeeper_server, client):
    kazoo = client()
    kazoo.create('/kept', b'data')
    for number in range(20):
        kazoo.create(f'/mine-{number}', ephemeral=True)
    zookeeper_server.restart()
    wait_for(lambda: kazoo.connected)
    assert kazoo.retry(kazoo.get, '/kept')[0] == b'data'
    later = kazoo.retry(kazoo.create, '/later', include_data=True)[1]
    assert later.czxid > kazoo.get('/kept')[1].czxid


def test_a_hung_server_ends_the_sessions_it_did_not_hear(
        zookeeper_server, client):
    kazoo = client(timeout=30)
    with Wire(zookeeper_server.hosts) as silent:
        silent.start(timeout=SHORT)
        ephemeral(silent, '/mine')
        zookeeper_server.pause()
        time.sleep(SHORT / 1000 + .2)  # longer than the session timeout
        zookeeper_server.resume()
        wait_for(lambda: not kazoo.retry(kazoo.exists, '/mine'))
        assert silent.is_closed()
