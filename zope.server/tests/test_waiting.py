"""Bodies that wait for memory, and go to a file when there is none."""
from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from zope.server import body as body_module
from zope.server import buffers
from zope.server import loop as loop_module
from zope.server.body import PendingBody
from zope.server.connection import WAITING
from zope.server.connection import Connection
from zope.server.loop import Loop
from zope_server_support.applications import PLAIN
from zope_server_support.corpus.case import post
from zope_server_support.forms import interpreted
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

SIZE = 100_000
BODY = b'0123456789' * (SIZE // 10)
LENGTH = b'Content-Length: %d\r\n' % SIZE
UPLOAD = post(LENGTH, BODY)
SHORT = post(b'Content-Length: 5\r\n', b'hello')


class Held:
    """A server with memory for one body; uploads wait for `let_go`."""

    def __init__(self, server: Any, letting_go: queue.SimpleQueue) -> None:
        self.address = server.address
        self.shared = server.engine.shared
        self.loop = server.engine.loop
        self.statistics = server.statistics
        self.call = server.call
        self._letting_go = letting_go

    def let_go(self, count: int = 1) -> None:
        """Let `count` uploads go on."""
        for _ in range(count):
            self._letting_go.put(None)

    def wait_for(self, count: int) -> None:
        """Wait until `count` bodies wait for memory."""
        until(lambda: len(self.loop.waiting) == count)


@contextlib.contextmanager
def held(**settings: Any) -> Iterator[Held]:
    """Yield a server that answers with the class that holds the body."""
    letting_go: queue.SimpleQueue = queue.SimpleQueue()

    def application(environ, start_response):
        if environ['CONTENT_LENGTH'] != '5':
            letting_go.get(timeout=20)
        body = environ['wsgi.input']
        start_response('200 OK', PLAIN)
        kind = type(getattr(body, 'raw', body)).__name__.encode()
        return [b'%s %s' % (kind, b'whole' if body.read() == BODY
                            else b'broken')]

    settings = {'threads': 2, 'body_memory': 150_000, **settings}
    with serving(application, **settings) as server:
        yield Held(server, letting_go)
        assert not server.engine.loop.waiting
        until(lambda: not server.engine.shared.buffer_pool.used)


@contextlib.contextmanager
def full(server: Held) -> Iterator[tuple[Client, Client]]:
    """Yield a client whose upload takes all the memory, and another client."""
    with Client(server.address) as first, Client(server.address) as other:
        first.send(UPLOAD)
        until(lambda: server.shared.buffer_pool.used)
        yield first, other


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have bodies wait for longer than any test takes."""
    monkeypatch.setattr(body_module, 'MAX_WAIT_S', 60)


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_body_waits_for_room(use_epoll: bool, patience: None) -> None:
    with held(use_epoll=use_epoll) as server:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(server.address))
                       for _ in range(4)]
            for number, client in enumerate(clients):
                client.send(UPLOAD)
                server.wait_for(number)
            # All together they take the memory of one.
            assert server.shared.buffer_pool.used < 150_000
            server.let_go(4)
            for client in clients:
                assert client.response().body == b'BufferReader whole'
                # The connections can be used again.
                client.send(UPLOAD)
            server.let_go(4)
            for client in clients:
                assert client.response().body == b'BufferReader whole'


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_body_does_not_wait_for_ever(use_epoll: bool) -> None:
    with held(use_epoll=use_epoll) as server, full(server) as (first, other):
        other.send(UPLOAD)
        until(lambda: server.statistics().in_flight == 2)
        server.let_go(2)
        assert [first.response().body, other.response().body] == [
            b'BufferReader whole', b'FileIO whole']


def test_while_buffers_come_and_go_no_more_memory_is_taken(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, 'REUSE_WINDOW_S', 60)
    monkeypatch.setattr(buffers, 'SIDE_BY_SIDE_BYTES', 150_000)
    monkeypatch.setattr(body_module, 'REUSE_WAIT_S', 60)
    # A sweep frees spare buffers.
    monkeypatch.setattr(loop_module, 'SWEEP_S', 60)
    with held(body_memory=10_000_000) as server:
        with full(server) as (first, other):
            other.send(UPLOAD)
            server.wait_for(1)
            server.let_go()
            assert first.response().body == b'BufferReader whole'
            server.wait_for(0)
            server.let_go()
            assert other.response().body == b'BufferReader whole'
        # A client has its response before the buffer is released.
        until(lambda: not server.loop.connections)
        # One buffer was enough for both.
        assert server.shared.buffer_pool.spare == 131_072


@pytest.mark.parametrize('lull, briefly', [(0, 60), (60, 0.01)])
def test_more_is_taken_in_a_lull_or_in_the_end(
        lull: float, briefly: float,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, 'REUSE_WINDOW_S', lull)
    monkeypatch.setattr(buffers, 'SIDE_BY_SIDE_BYTES', 150_000)
    monkeypatch.setattr(body_module, 'REUSE_WAIT_S', briefly)
    with held(body_memory=10_000_000) as server:
        with full(server) as (first, other):
            other.send(UPLOAD)
            until(lambda: server.statistics().in_flight == 2)
            assert server.shared.buffer_pool.used == 2 * 131_072
            server.let_go(2)
            for client in first, other:
                assert client.response().body == b'BufferReader whole'


def test_a_body_that_never_fits_does_not_wait(patience: None) -> None:
    with held(body_memory=50_000) as server:
        with Client(server.address) as client:
            client.send(UPLOAD)
            server.let_go()
            assert client.response().body == b'FileIO whole'


def test_a_client_that_waits_is_not_asked_for_the_body(patience: None) -> None:
    with held() as server, full(server) as (first, other):
        other.send(post(LENGTH + b'Expect: 100-continue\r\n'))
        server.wait_for(1)
        timeout = other.sock.gettimeout()
        other.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.sock.recv(1)
        other.sock.settimeout(timeout)
        server.let_go()
        assert first.response().status == 200
        assert other.response().status == 100
        other.send(BODY)
        server.let_go()
        assert other.response().body == b'BufferReader whole'


def test_a_half_closed_client_gets_its_answer(patience: None) -> None:
    with held() as server, full(server) as (first, other):
        other.send(UPLOAD)
        other.sock.shutdown(socket.SHUT_WR)
        server.wait_for(1)
        server.let_go(2)
        assert first.response().status == 200
        assert other.response().body == b'BufferReader whole'
        assert other.read_all() == b''


def test_a_client_that_goes_away_leaves_nothing(patience: None) -> None:
    with held() as server:
        with Client(server.address) as first:
            first.send(UPLOAD)
            until(lambda: server.shared.buffer_pool.used)
            with Client(server.address) as other:
                other.send(UPLOAD[:80_000])
                server.wait_for(1)
            server.let_go()
            assert first.response().status == 200
            until(lambda: len(server.loop.connections) == 1)


def test_no_body_waits_where_no_memory_is_released(patience: None) -> None:
    """As for clients that only announce a body."""
    with held() as server:
        with Client(server.address) as first, Client(server.address) as other:
            first.send(post(LENGTH))
            until(lambda: server.shared.buffer_pool.used)
            server.shared.buffer_pool.last_release -= 100
            server.let_go()
            other.send(UPLOAD)
            assert other.response().body == b'FileIO whole'


def test_a_next_request_waits_as_the_first(
        patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the pool then leaves it to the leader."""
    monkeypatch.setattr(loop_module, 'SWEEP_S', 60)
    with held() as server:
        with Client(server.address) as first, Client(server.address) as other:
            first.send(UPLOAD)
            until(lambda: server.statistics().in_flight == 1)
            other.send(SHORT + UPLOAD)
            assert other.response().body == b'BytesIO broken'
            server.wait_for(1)
            server.let_go(2)
            assert first.response().body == b'BufferReader whole'
            assert other.response().body == b'BufferReader whole'


class Slow:
    """Replaces `wait_for_memory` and keeps the thread that has called it."""

    def __init__(self, loop: Loop) -> None:
        self._wait_for_memory = loop.wait_for_memory
        self.is_added = threading.Event()
        self.goes_on = threading.Event()

    def __call__(self, connection: Connection, body: PendingBody) -> None:
        self._wait_for_memory(connection, body)
        self.is_added.set()
        self.goes_on.wait(20)


@interpreted
def test_a_thread_is_left_its_connection(
        patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(threads=3) as server:
        slow = Slow(server.loop)
        monkeypatch.setattr(server.loop, 'wait_for_memory', slow)
        with Client(server.address) as first, Client(server.address) as other:
            first.send(UPLOAD)
            until(lambda: server.statistics().in_flight == 1)
            other.send(SHORT + UPLOAD)
            assert slow.is_added.wait(20)
            server.let_go()
            assert first.response().body == b'BufferReader whole'
            until(lambda: not server.shared.buffer_pool.used)
            for _ in range(3):  # Turns in which there is memory.
                turned = threading.Event()
                server.call(turned.set)
                assert turned.wait(20)
            (connection, _), = server.loop.waiting
            assert connection.state == WAITING and connection.is_busy
            slow.goes_on.set()
            assert other.response().body == b'BytesIO broken'
            server.let_go()
            assert other.response().body == b'BufferReader whole'


def test_a_drain_answers_bodies_that_wait(patience: None) -> None:
    with held() as server, full(server) as (first, other):
        other.send(UPLOAD)
        server.wait_for(1)
        server.shared.is_draining = True
        server.let_go(2)
        for client in first, other:
            response = client.response()
            assert response.body == b'BufferReader whole'
            assert response.fields['connection'] == 'close'
