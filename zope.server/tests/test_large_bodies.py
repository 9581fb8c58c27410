"""Large bodies: pieces, ends, and the order in which they are read."""
from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zope.server import body
from zope.server.connection import Connection
from zope.server.loop import Loop
from zope.server.threadpool import LONG_S
from zope.server.threadpool import ThreadPool
from zope_server_support.applications import PLAIN
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import serving
from zope_server_support.talking import until

SIZE = 300_000
ENGINES = pytest.mark.parametrize('use_epoll', [True, False])


def upload(size: int) -> bytes:
    """Return a request with a body of `size` bytes."""
    return post(b'Content-Length: %d\r\n' % size, b'x' * size)


def measure(environ, start_response):
    """Answer with the size of the request's body."""
    start_response('200 OK', PLAIN)
    return [b'%d' % len(environ['wsgi.input'].read())]


def connections(server: Any) -> list[Connection]:
    """Return the connections of a server."""
    return list(server.engine.loop.connections.values())


def begun(server: Any) -> Connection:
    """Return the connection that waits for more of a body."""
    return until(lambda: next(
        (connection for connection in connections(server)
         if connection.receiver.block is not None), None))


@ENGINES
def test_what_follows_a_large_body_is_heard_at_once(use_epoll: bool) -> None:
    with serving(measure, use_epoll=use_epoll) as server:
        with Client(server.address) as client:
            for size in (SIZE, 1, 100_000, 20_000, SIZE, 0):
                client.send(upload(size))
                assert client.response().body == b'%d' % size
                assert client.get().body == b'0'
            client.send(upload(SIZE) + get() + upload(SIZE) + get())
            assert [client.response().body for _ in range(4)] == [
                b'%d' % SIZE, b'0'] * 2


@ENGINES
def test_pieces_of_any_size_are_a_body(use_epoll: bool) -> None:
    with serving(measure, use_epoll=use_epoll) as server:
        for piece in (1, 1000, 16_384, 65_536, 131_072):
            with Client(server.address) as client:
                client.send(post(b'Content-Length: %d\r\n' % SIZE))
                left = SIZE
                # A few small pieces, each on its way alone.
                for _ in range(10):
                    if left > piece:
                        client.send(b'x' * piece)
                        left -= piece
                client.send(b'x' * left)
                assert client.response().body == b'%d' % SIZE


@ENGINES
@pytest.mark.parametrize('is_reset', [True, False])
def test_a_client_that_leaves_early_is_noticed(
        use_epoll: bool, is_reset: bool) -> None:
    with serving(measure, use_epoll=use_epoll) as server:
        with Client(server.address) as client:
            client.send(upload(SIZE)[:-SIZE + 1000])
            begun(server)
            if is_reset:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       b'\1\0\0\0\0\0\0\0')
        until(lambda: not connections(server))
        assert ask(server.address).status == 200
    assert server.statistics().requests == 1


@ENGINES
def test_a_half_closed_upload_is_noticed(use_epoll: bool) -> None:
    with serving(measure, use_epoll=use_epoll) as server:
        with Client(server.address) as client:
            client.send(upload(SIZE)[:-SIZE + 1000])
            begun(server)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_all() == b''
        until(lambda: not connections(server))


@contextlib.contextmanager
def turning(monkeypatch: pytest.MonkeyPatch, count: int,
            application: Callable = measure, **options: Any,
            ) -> Iterator[tuple[Loop, list[Client], Any]]:
    """Yield (loop, clients, server) of a server without threads."""
    monkeypatch.setattr(ThreadPool, 'start', lambda self: None)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(application, **options))
        loop = server.engine.loop
        clients = [stack.enter_context(Client(server.address))
                   for _ in range(count)]
        while len(connections(server)) < count:
            loop.turn()
        yield loop, clients, server
        while loop.ready:
            serve(loop)


def serve(loop: Loop) -> None:
    """Serve the next request that is ready."""
    connection = loop.ready.popleft()
    connection.serve(0.0)
    assert not connection.proceed()


def until_come(connection: Connection, count: int) -> None:
    """Wait until `count` bytes wait to be received."""
    until(lambda: len(connection.sock.recv(count, socket.MSG_PEEK)) == count)


# After one read more than PREALLOCATED_BYTES of it are left.
BODIES = 90_000


@ENGINES
def test_a_turn_ends_with_a_large_body(
        use_epoll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with turning(monkeypatch, 4, use_epoll=use_epoll) as (
            loop, clients, server):
        data = upload(BODIES)
        for client in clients[:3]:
            client.send(data)
        clients[3].send(get())
        ports = {client.sock.getsockname()[1] for client in clients[:3]}
        for connection in connections(server):
            is_large = int(connection.environ['REMOTE_PORT']) in ports
            until_come(connection, len(data if is_large else get()))
        graces = []
        while len(loop.ready) < 4:
            before = len(loop.ready)
            graces.append(loop.turn())
            # The small request may have come first in the same turn.
            assert len(loop.ready) <= before + 2
        assert len([grace for grace in graces if grace]) == 3
        assert all(0 < grace < LONG_S for grace in graces if grace)
        while loop.ready:
            serve(loop)
        assert [client.response().body for client in clients] == [
            b'%d' % BODIES] * 3 + [b'0']


def test_a_file_in_answer_to_a_large_body_ends_no_turns(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / 'file'
    with path.open('wb') as file:
        file.truncate(2 ** 24)

    def answer(environ, start_response):
        start_response('200 OK', PLAIN)
        return environ['wsgi.file_wrapper'](path.open('rb'))

    with turning(monkeypatch, 1, answer) as (loop, (client,), _server):
        client.send(upload(BODIES))
        until(loop.turn)
        serve(loop)
        reader = threading.Thread(target=client.body)
        reader.start()
        while not loop.ready:
            assert not loop.turn()
        serve(loop)
        reader.join()


def test_a_turn_ends_the_wait_of_one_body(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, 'MAX_WAIT_S', 60)
    with turning(monkeypatch, 4, body_memory=300_000) as (
            loop, clients, server):
        for client in clients:
            client.send(upload(BODIES))
        for connection in connections(server):
            until_come(connection, BODIES)
        while len(loop.ready) + len(loop.waiting) < 4:
            loop.turn()
        assert len(loop.waiting) == 2
        while loop.ready:
            serve(loop)
        for left in 1, 0:
            assert loop.turn()
            assert len(loop.waiting) == left
            assert server.engine.shared.buffer_pool.used <= 300_000
        while loop.ready:
            serve(loop)
        assert [client.response().body for client in clients] == [
            b'%d' % BODIES] * 4


def test_reading_a_body_is_not_work() -> None:
    """Requests count as quick if all that takes time is to read the body."""
    with serving(measure) as server:
        threads = server.engine.threads
        with Client(server.address) as client:
            def is_quick() -> bool:
                client.send(upload(2 ** 20))
                assert client.response().body == b'%d' % 2 ** 20
                return threads.is_quick

            until(is_quick, 60)


def test_small_requests_pass_between_large_bodies() -> None:
    with serving(measure, threads=2) as server:
        stop = threading.Event()

        def upload_on() -> None:
            with Client(server.address) as client:
                while not stop.is_set():
                    client.send(upload(2 ** 20))
                    assert client.response().body == b'%d' % 2 ** 20

        threads = [threading.Thread(target=upload_on) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            with Client(server.address) as client:
                for _ in range(200):
                    assert client.get().body == b'0'
            assert ask(server.address).status == 200
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        until(lambda: not server.statistics().in_flight)
