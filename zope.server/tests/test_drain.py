"""Draining: a stop that loses no request."""
from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from zope.server import connection
from zope.server import engine
from zope.server import loop
from zope.server import threadpool
from zope.server.server import Server
from zope_server_support.applications import PLAIN
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.forms import interpreted
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

HELLO = post(b'Content-Length: 5\r\n', b'hello')


def brief(environ, start_response):
    """Answer after a moment."""
    time.sleep(0.002)
    environ['wsgi.input'].read()
    start_response('200 OK', PLAIN)
    return [environ['PATH_INFO'].encode()]


class Poster(threading.Thread):
    """A keep-alive client that posts until the connection is closed."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.answered = 0
        self.lost: list[str] = []

    def run(self) -> None:
        with Client(self.server.address) as client:
            while not client.is_over:
                try:
                    client.send(HELLO)
                    response = client.response()
                except OSError as error:
                    self.lost.append(str(error))
                    return
                self.answered += 1
                if response.fields.get('connection') == 'close':
                    return


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep idle connections for as long as a drain takes."""
    monkeypatch.setattr(engine, 'GRACE_S', 60)


@pytest.mark.parametrize('threads', [1, 4])
def test_keep_alive_clients_lose_nothing(
        threads: int, patience: None) -> None:
    with serving(brief, threads=threads) as server:
        posters = [Poster(server) for _ in range(16)]
        for poster in posters:
            poster.start()
        until(lambda: all(poster.answered > 3 for poster in posters))
        assert server.drain(20) == 0
        for poster in posters:
            poster.join()
        assert [poster.lost for poster in posters] == [[]] * 16


def test_pipelined_requests_are_answered() -> None:
    with serving(brief) as server, Client(server.address) as client:
        client.send(b''.join(get(target=b'/%d' % number)
                             for number in range(30)))
        assert client.response().body == b'/0'
        assert server.drain(20) == 0
        for number in range(1, 30):
            response = client.response()
            assert response.body == b'/%d' % number
            assert ('connection' in response.fields) == (number == 29)
        assert client.read_all() == b''


def test_what_waits_in_the_listen_queue_is_answered() -> None:
    # More than are accepted in a turn.
    gate, count = Gate(), 2 * loop.ACCEPTS_A_TURN
    with serving(gate, threads=2, connection_limit=2) as server:
        clients: list[Client] = []
        for _ in range(count):
            clients.append(Client(server.address))
            clients[-1].send(get())
            # Later ones take the place of one that is idle for a second.
            until(lambda: gate.inside == min(len(clients), 2))
        assert server.statistics().connections == 2
        gate.open(count)
        assert server.drain(60) == 0
        for client in clients:
            assert client.response().status == 200
            client.sock.close()


@interpreted
def test_a_request_that_nobody_has_read_yet_is_no_idle_connection(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threadpool.ThreadPool, 'start', lambda self: None)
    with serving(hello) as server, Client(server.address) as client, Client(
            server.address) as idle:
        turning = server.engine.loop
        until(lambda: turning.turn() or len(turning.connections) == 2)
        client.send(get())
        until(lambda: any(
            each.has_more() for each in turning.connections.values()))
        # As if no thread of the server had run for long.
        for each in turning.connections.values():
            each.since -= 2 * engine.GRACE_S
        server.engine._close_idle()
        assert idle.read_all() == b''
        until(lambda: turning.turn() or turning.ready)
        served = turning.ready.popleft()
        served.serve(0.0)
        assert not served.proceed()
        assert client.response().status == 200


def test_what_has_begun_to_come_is_awaited(patience: None) -> None:
    with serving(hello) as server, Client(server.address) as client:
        client.send(HELLO[:-2])
        until(lambda: server.statistics().connections == 1)
        thread = threading.Thread(target=server.drain, args=(20,))
        thread.start()
        until(lambda: not can_connect(server))
        client.send(HELLO[-2:])
        assert client.response().status == 200
        thread.join()


@interpreted
def test_clients_that_keep_coming_keep_no_stop_waiting(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hello, backlog=200) as server:
        accept = server.engine.loop.acceptor.accept

        def never_done() -> list[connection.Connection]:
            # An event of the listener may come in the turn that closes it.
            if not server.engine.loop.acceptor.is_closed:
                for _ in range(loop.ACCEPTS_A_TURN + 1):
                    socket.create_connection(
                        server.address, timeout=20).close()
            return accept()

        monkeypatch.setattr(
            server.engine.loop.acceptor, 'accept', never_done)
        began = time.monotonic()
        assert server.drain(60) == 0
        assert time.monotonic() - began < 30


def can_connect(server: Server) -> bool:
    """Return whether the server accepts connections."""
    try:
        socket.create_connection(server.address, timeout=5).close()
    except ConnectionError:
        return False
    return True


def test_idle_connections_are_heard_once_more_and_closed(
        patience: None) -> None:
    with serving(hello) as server, Client(server.address) as client:
        client.get()
        thread = threading.Thread(target=server.drain, args=(20,))
        thread.start()
        until(lambda: not can_connect(server))
        # This request was on its way when the stop began.
        assert client.get().fields['connection'] == 'close'
        with pytest.raises(ConnectionError):
            client.get()
        thread.join()


def test_an_idle_connection_does_not_take_the_whole_time() -> None:
    with serving(hello) as server, Client(server.address) as client:
        client.get()
        began = time.monotonic()
        assert server.drain(60) == 0
        assert time.monotonic() - began < 30
        assert client.read_all() == b''


def test_without_connections_it_is_over_at_once(patience: None) -> None:
    with serving(hello) as server:
        began = time.monotonic()
        assert server.drain(60) == 0
        assert time.monotonic() - began < 30


def test_what_takes_too_long_is_cut_and_logged(
        caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    with serving(gate, threads=2) as server:
        clients = [Client(server.address) for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(get(target=b'/%d' % number))
        until(lambda: (gate.inside, server.statistics().queued) == (2, 2))
        with caplog.at_level(logging.WARNING):
            assert server.drain(0.2) == 4
        assert sum('is cut off after' in record.getMessage()
                   for record in caplog.records) == 4
        gate.open(2)
        for client in clients:
            assert client.read_all() == b''
            client.sock.close()
        # The application never saw the other two.
        server.close()
        assert gate.most == 2
        assert len(gate.idents) == 2
        assert gate.inside == 0


def test_a_thread_that_was_stuck_ends_in_the_end(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(engine, 'JOIN_S', 0.1)
    gate = Gate()
    threads = set(threading.enumerate())
    server = Server(gate, host='127.0.0.1', threads=2)
    server.start()
    with Client(server.address) as client, Client(server.address) as queued:
        for each in client, queued, client, client:
            each.send(get())
        until(lambda: gate.inside == 2)
        server.close()
        assert '2 threads are still in the application' in caplog.text
        gate.open(10)
        until(lambda: set(threading.enumerate()) <= threads)
        assert client.read_all() == queued.read_all() == b''


def test_close_cuts_what_runs() -> None:
    gate = Gate()
    server = Server(gate, host='127.0.0.1')
    server.start()
    with Client(server.address) as client:
        client.send(get())
        until(lambda: gate.inside == 1)
        threads = set(threading.enumerate())
        server.close()
        assert client.read_all() == b''
        gate.open()
        until(lambda: len(set(threading.enumerate()) & threads)
              < len(threads))


def test_requests_go_on_while_nothing_is_accepted() -> None:
    gate = Gate()
    with serving(gate) as server, Client(server.address) as client:
        client.send(get())
        until(lambda: gate.inside == 1)
        results = []
        thread = threading.Thread(
            target=lambda: results.append(server.drain(20)))
        thread.start()
        until(lambda: not can_connect(server))
        gate.open()
        response = client.response()
        assert response.status == 200
        assert response.fields['connection'] == 'close'
        thread.join()
        assert results == [0]
