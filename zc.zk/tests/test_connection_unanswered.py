"""Requests without an answer: lost ones, and a server that is slow."""
import logging
import socket
import ssl
import time
from contextlib import ExitStack

import pytest
import zc.zk
from kazoo.exceptions import ConnectionDropped
from zc.zk.connection import unanswered
from zc.zk.connection.tls import make_context
from zc.zk.connection.unanswered import DOUBT_S
from zc.zk.connection.unanswered import FREE_LOSSES
from zc.zk.connection.unanswered import FREE_SECOND_SESSIONS
from zc.zk.connection.unanswered import MAX_PAUSE_S
from zc.zk.connection.unanswered import ORDER_S
from zc.zk.connection.unanswered import SecondSession
from zc.zk.connection.unanswered import Unanswered
from zc.zk.encoding import decode
from zc.zk.testing.waiting import wait_for
from zc_zk_support.latency import Latency
from zc_zk_support.tls import Terminator


class Server:
    """A server as `Unanswered` sees it, and a clock."""

    def __init__(self, monkeypatch):
        self.now = 100.
        self.is_in_order = False
        self.bytes_unsent = 0
        self.begun = 0
        monkeypatch.setattr(unanswered.time, 'monotonic', lambda: self.now)
        monkeypatch.setattr(unanswered, 'SecondSession', self.begin)
        self.unanswered = Unanswered(None, lambda: self.bytes_unsent)

    def begin(self, connect):
        """Begin a second session, which is answered at once, or never."""
        self.begun += 1
        server = self

        class Second:
            ends_at = server.now + 2.
            answered_at = None if server.is_in_order else server.now

            def start(self):
                pass

            abandon = start

        return Second()

    def wait(self, limit_s):
        """Let time pass until the connection is given up; return how much."""
        began = self.now
        while self.now < began + limit_s:
            try:
                look_s = self.unanswered.look()
            except ConnectionDropped:
                self.unanswered.clear()
                break
            assert look_s is None or look_s > 0
            self.now += .05
        return self.now - began


@pytest.fixture
def server(monkeypatch):
    return Server(monkeypatch)


def lose(server, kind='Create', limit_s=60.):
    """Send a request that is never answered."""
    server.unanswered.begin(limit_s)
    server.unanswered.add(kind)
    return server.wait(100.)


def test_nothing_is_sent(server):
    assert server.unanswered.look() is None
    assert server.wait(10.) >= 10.
    assert server.begun == 0


def test_a_request_is_lost(server):
    assert lose(server) == pytest.approx(DOUBT_S + ORDER_S, abs=.2)


def test_the_server_is_slow(server):
    """Wait for the heartbeat while the server answers nobody."""
    server.is_in_order = True
    assert lose(server, limit_s=6.) == pytest.approx(6., abs=.1)
    assert server.begun == 3


@pytest.mark.parametrize('limit_s', [4., 600.])
def test_a_server_that_answers_nothing_for_ten_minutes(server, limit_s):
    """Begin few second sessions, however often the client connects."""
    server.is_in_order = True
    waited_s = 0.
    while waited_s < 600.:
        waited_s += lose(server, 'SessionRequest', limit_s)
    assert server.begun <= FREE_SECOND_SESSIONS + 4 + 600. / MAX_PAUSE_S
    # An answer ends the pause.
    server.unanswered.add('SessionRequest')
    server.unanswered.settle()
    before, server.is_in_order = server.begun, False
    assert lose(server) == pytest.approx(DOUBT_S + ORDER_S, abs=.2)
    assert server.begun == before + 1


def test_the_pause_between_second_sessions_has_an_end(server):
    server.is_in_order = True
    server.unanswered.begin(7200.)
    server.unanswered.add('Create')
    server.wait(1800.)
    before = server.begun
    server.wait(10 * MAX_PAUSE_S)
    assert server.begun - before in (9, 10)


def test_second_sessions_that_are_answered_are_not_in_vain(server):
    for count in range(1, 2 * FREE_SECOND_SESSIONS):
        assert lose(server, f'type {count}') < DOUBT_S + .5
        assert server.begun == count


def test_a_ping_has_half_the_time_at_first(server):
    server.is_in_order = True
    assert lose(server, 'Ping', 6.) == pytest.approx(3., abs=.1)
    assert lose(server, 'Ping', 6.) == pytest.approx(6., abs=.1)


def test_a_type_of_request_that_always_takes_long_gets_more_time(server):
    """Wait longer for it: its answers need not be in the order of others."""
    waits = [lose(server) for _ in range(FREE_LOSSES + 3)]
    assert max(waits[:-2]) < DOUBT_S + .5
    assert waits[-2] == pytest.approx(2 * DOUBT_S + ORDER_S, abs=.2)
    assert waits[-1] == pytest.approx(4 * DOUBT_S + ORDER_S, abs=.2)
    assert lose(server, 'Exists') < DOUBT_S + .5
    server.unanswered.add('Create')
    server.now += 5.
    server.unanswered.settle()  # too late to change anything
    assert lose(server) > waits[-1]
    server.unanswered.add('Create')
    server.unanswered.settle()
    assert lose(server) < DOUBT_S + .5


def test_the_wait_does_not_grow_without_end(server):
    for _ in range(2000):
        assert lose(server, limit_s=6.) <= 6.1


def test_answers_and_parts_of_answers_are_signs_of_life(server):
    server.unanswered.add('Create')
    server.unanswered.add('Exists')
    server.wait(1.)
    server.unanswered.hear()
    server.wait(1.)
    server.unanswered.settle()
    assert server.wait(10.) == pytest.approx(DOUBT_S + ORDER_S, abs=.2)


def test_a_request_that_is_still_being_sent_waits(server):
    server.unanswered.add('Create')
    for server.bytes_unsent in range(10, 0, -1):
        server.wait(1.)
    assert server.wait(10.) < 2 * DOUBT_S + 1


def test_nothing_arrives_and_more_is_sent(server):
    """Give up a connection that is cut, though heartbeats enter its queue."""
    server.is_in_order = True
    server.unanswered.begin(6.)
    server.unanswered.add('Exists')
    waited_s = 0.
    while waited_s < 20. and server.unanswered.since is not None:
        server.bytes_unsent += 12
        server.unanswered.add('Ping')
        waited_s += server.wait(1.)
    assert waited_s == pytest.approx(6., abs=.2)


def test_too_many_threads_for_a_second_session(server, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.undo()
    monkeypatch.setattr(SecondSession, 'start', start)
    monkeypatch.setattr(unanswered, 'DOUBT_S', 0.)
    requests = Unanswered(None, lambda: 0)
    requests.add('Create')
    assert requests.look() > 0


# On servers


def test_a_second_session_leaves_nothing(zookeeper_server):
    host, port = zookeeper_server.address
    with zc.zk.ZooKeeper(zookeeper_server.connection_string) as zk:
        connect = zk.client.handler.create_second_connection
        for _ in range(3):
            session = SecondSession(connect)
            session.start()
            session.join()
            assert session.answered_at
        SecondSession(connect).run()
        abandoned = SecondSession(connect)
        abandoned.abandon()
        abandoned.run()
        assert abandoned.answered_at is None
        wait_for(lambda: count_connections(zk) == 1)


def test_a_second_session_over_tls(certificate, tls_port, zookeeper):
    cert, key = certificate
    with zc.zk.ZooKeeper(f'localhost:{tls_port}{zookeeper.chroot}', ca=cert,
                         cert=cert, key=key) as zk:
        session = SecondSession(zk.client.handler.create_second_connection)
        session.run()
        assert session.answered_at
        assert zk.exists('/')


def test_a_second_session_at_a_server_that_is_silent(silent):
    host, port = silent.split(':')
    session = SecondSession(
        lambda timeout: socket.create_connection((host, int(port)), timeout))
    session.start()
    assert session.is_alive()
    assert session.answered_at is None
    wait_for(lambda: session._connection)
    session.abandon()
    session.join(unanswered.SECOND_SESSION_S)
    assert not session.is_alive()
    assert session.answered_at is None


def test_a_second_session_over_tls_is_given_up(certificate, silent):
    """Another thread does that at the moment at which it begins to read."""
    class Slow(ssl.SSLSocket):
        def read(self, *args):
            session.abandon()
            return super().read(*args)

    cert, key = certificate
    host, port = silent.split(':')
    context = make_context(cert, cert, key)
    context.sslsocket_class = Slow
    with Terminator((host, int(port)), cert, key) as proxy:
        session = SecondSession(lambda timeout: context.wrap_socket(
            socket.create_connection(('127.0.0.1', proxy.port), timeout),
            server_hostname='localhost'))
        session.run()
        assert session.answered_at is None


def count_connections(zk):
    stat = zk.client.command(b'srvr')
    return int(stat.split('Connections: ')[1].split()[0]) - 1  # our own


class Watched:
    """A registration, and the states of its client's connection."""

    def __init__(self, where, session_timeout_s, address='192.0.2.7:8080'):
        self.zk = zc.zk.ZooKeeper(where, session_timeout_s)
        self.registration = self.zk.register('/', address, a=1, b=1)
        self.states = []
        self.zk.client.add_listener(self.states.append)
        self.node = f'/{address}'

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.zk.close()

    def data(self, client):
        return decode(client.get(self.node)[0])

    def owner(self, client):
        stat = client.exists(self.node)
        return stat and stat.ephemeralOwner


@pytest.mark.clock
def test_a_server_that_stands_still_for_a_moment(zookeeper_server, caplog):
    """Keep the connection while it stands still for 5 s."""
    where = zookeeper_server.connection_string
    with Watched(where, 20.) as watched:
        before = watched.zk.client.exists(watched.node)
        zookeeper_server.pause()
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 5.)
        zookeeper_server.resume()
        assert watched.zk.client.exists(watched.node) == before
        watched.registration.update(b=2)
        wait_for(lambda: watched.data(watched.zk.client)['b'] == 2)
        assert watched.states == []
        # The second sessions that were begun meanwhile are ended.
        wait_for(lambda: count_connections(watched.zk) == 1)
    assert not [record for record in caplog.records
                if record.levelno >= logging.WARNING]


@pytest.mark.clock
def test_a_leader_that_stands_still_for_a_moment(ensemble, client):
    """Lose nothing, while the others elect another one."""
    with ExitStack() as stack:
        everybody = [
            stack.enter_context(Watched(ensemble.connection_string, 10.,
                                        f'192.0.2.7:{port}'))
            for port in range(8080, 8086)]
        owners = [each.owner(each.zk.client) for each in everybody]
        leader = ensemble.pause_leader()
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 5.)
        leader.resume()
        witness = client()
        for each, owner in zip(everybody, owners, strict=True):
            wait_for(lambda each=each: each.zk.client.connected)
            each.registration.update(b=2)
            wait_for(lambda each=each: each.data(witness)['b'] == 2)
            assert each.owner(witness) == owner
            # Those of the leader: until it is given up, and once more if it
            # is the first to be asked again.
            assert each.states.count('SUSPENDED') <= 3
            assert 'LOST' not in each.states


@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 10.])
def test_each_answer_takes_longer_than_is_doubtful(zookeeper, client,
                                                   session_timeout_s):
    witness = client()
    with Latency(zookeeper.connection_string) as proxy:
        with Watched(proxy.connection_string, session_timeout_s) as watched:
            proxy.delay_s = 2.5
            witness.delete(watched.node)
            wait_for(lambda: watched.owner(witness), 60)
            watched.registration.update(b=2)
            wait_for(lambda: watched.data(witness)['b'] == 2, 60)
            began = time.monotonic()
            wait_for(lambda: time.monotonic() > began + 10)
            assert watched.owner(witness)
            assert watched.states.count('SUSPENDED') <= (
                0 if session_timeout_s > 5 else 2)
            assert 'LOST' not in watched.states
            proxy.delay_s = 0
