"""Responses as clients see them, where they are not a plain list."""
from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from zope.server import gather
from zope.server import headers
from zope.server.errors import ResponseError
from zope.server.gather import Flusher
from zope_server_support.applications import PLAIN
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import reset
from zope_server_support.talking import serving
from zope_server_support.talking import until


class Late:
    """An application that writes once its response has ended."""

    def __init__(self, is_head_sent: bool) -> None:
        self.is_head_sent = is_head_sent
        self.failures: list[BaseException] = []

    def __call__(self, environ, start_response):
        self.write = start_response('200 OK', PLAIN)
        if self.is_head_sent:
            self.write(b'hel')
            self.parts = [b'lo']
        else:
            self.parts = [b'hello']
        return self

    def __iter__(self):
        return iter(self.parts)

    def close(self) -> None:
        self.try_write()

    def try_write(self) -> None:
        try:
            self.write(b'late')
        except ResponseError as error:
            self.failures.append(error)


@pytest.mark.parametrize('is_head_sent', [False, True])
def test_write_raises_after_the_response(is_head_sent: bool) -> None:
    application = Late(is_head_sent)
    with serving(application) as server, Client(server.address) as client:
        assert client.get().body == b'hello'
        application.try_write()
        # What was written late would be in front of the next response.
        assert client.get().body == b'hello'
    assert [str(error) for error in application.failures] == [
        'write() was called after the end of the response'] * 3


def test_a_header_of_the_connection_is_dropped_with_one_line(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    def application(environ, start_response):
        start_response('200 OK', [*PLAIN, ('Connection', 'keep-alive'),
                                  ('connection', 'keep-alive')])
        return [b'hello']
    monkeypatch.setattr(headers, 'kinds', {})
    monkeypatch.setattr(headers, 'reported', set())
    with serving(application) as server, Client(server.address) as client:
        for _ in range(3):
            response = client.get()
            assert response.body == b'hello'
            assert 'connection' not in response.fields
    assert caplog.record_tuples == [
        ('zope.server.requests', logging.WARNING, 'the header Connection of'
         ' the application is dropped, as it is for the server to set')]


def test_an_empty_name_is_no_server_header() -> None:
    with serving(hello, name='') as server, Client(server.address) as client:
        response = client.get()
        assert response.status == 200
        assert 'server' not in response.fields
        assert 'date' in response.fields
        client.send(b'nonsense\r\n\r\n')
        refused = client.response()
        assert refused.status == 400
        assert 'server' not in refused.fields


def answering(result: Any, *more: tuple[str, str]) -> Any:
    """Return an application that returns `result()`."""
    def application(environ, start_response):
        start_response('200 OK', [*PLAIN, *more])
        return result()
    return application


@pytest.mark.parametrize('make', [list, tuple])
def test_a_list_of_blocks_gets_its_length(make: Any) -> None:
    blocks = make([b'%d,' % number for number in range(1000)])
    with serving(answering(lambda: blocks)) as server, (
            Client(server.address)) as client:
        response = client.get()
        assert response.body == b''.join(blocks)
        assert response.fields['content-length'] == str(len(response.body))


def test_a_list_of_any_buffers_is_joined() -> None:
    blocks = [b'a', bytearray(b'b'), memoryview(b'c')]
    with serving(answering(lambda: blocks)) as server, (
            Client(server.address)) as client:
        response = client.get()
        assert response.body == b'abc'
        assert response.fields['content-length'] == '3'


def test_a_large_list_of_blocks_is_not_joined() -> None:
    block = b'x' * 20_000
    with serving(answering(lambda: [block] * 500)) as server, (
            Client(server.address)) as client:
        response = client.get()
        assert response.body == block * 500
        assert 'content-length' not in response.fields


def test_a_list_with_text_is_refused_as_a_whole() -> None:
    with serving(answering(lambda: [b'a', 'b'])) as server, (
            Client(server.address)) as client:
        assert client.get().status == 500


@pytest.mark.parametrize('more', [(), [('Content-Length', '488890')]])
@pytest.mark.parametrize('version', [b'1.1', b'1.0'])
def test_small_blocks_of_a_generator_come_in_order(
        more: Any, version: bytes) -> None:
    def blocks() -> Iterator[bytes]:
        for number in range(100_000):
            yield b'%d' % number
            if number % 20_000 == 0:
                # A pause, after which the flusher begins anew.
                time.sleep(0.01)
    with serving(answering(blocks, *more)) as server, (
            Client(server.address)) as client:
        client.send(b'GET / HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n'
                    % version)
        client.read_all()
        assert client.response().body == b''.join(
            b'%d' % number for number in range(100_000))


def test_small_blocks_for_a_client_that_reads_late() -> None:
    count = 300_000

    def blocks() -> Iterator[bytes]:
        return (b'0123456789' for _ in range(count))
    with serving(answering(blocks), output_buffer_size=1000,
                 output_spool_size=1000) as server, (
            Client(server.address)) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        time.sleep(0.1)
        assert client.body() == b'0123456789' * count


def test_small_blocks_by_write_and_by_a_generator_come_in_order() -> None:
    def application(environ, start_response):
        write = start_response('200 OK', PLAIN)
        for number in range(1000):
            write(b'%d,' % number)

        def blocks() -> Iterator[bytes]:
            for number in range(1000):
                yield b'%d;' % number
                write(b'%d.' % number)
        return blocks()
    with serving(application) as server, Client(server.address) as client:
        assert client.get().body == b''.join(
            b'%d,' % number for number in range(1000)) + b''.join(
            b'%d;%d.' % (number, number) for number in range(1000))


def test_what_was_gathered_is_sent_before_a_failure_cuts() -> None:
    def blocks() -> Iterator[bytes]:
        for number in range(1000):
            yield b'%d,' % number
        raise ValueError('secret')
    with serving(answering(blocks)) as server, (
            Client(server.address)) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        raw = client.read_all()
        assert b'999,' in raw
        assert not raw.endswith(b'0\r\n\r\n')


@pytest.mark.parametrize('burst', [1, 2, 20, 100])
def test_the_last_block_before_a_pause_is_sent(burst: int) -> None:
    gate = threading.Semaphore(0)

    def blocks() -> Iterator[bytes]:
        for number in itertools.count():
            for part in range(burst):
                yield b'data: %d.%d\n\n' % (number, part)
            gate.acquire()
            if number == 20:
                return
    with serving(answering(blocks)) as server, (
            Client(server.address)) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        for number in range(21):
            last = b'data: %d.%d\n\n' % (number, burst - 1)
            while last not in client.raw:
                assert client.receive()
            gate.release()
        assert client.response().body.count(b'data') == 21 * burst


def test_a_buffer_that_is_used_again_is_copied() -> None:
    def blocks() -> Iterator[bytearray]:
        buffer = bytearray(8)
        for number in range(10_000):
            buffer[:] = b'%8d' % number
            yield buffer
    with serving(answering(blocks)) as server, (
            Client(server.address)) as client:
        assert client.get().body == b''.join(
            b'%8d' % number for number in range(10_000))


def test_text_among_gathered_blocks_cuts_the_response() -> None:
    def blocks() -> Iterator[Any]:
        for number in range(1000):
            yield b'%d,' % number
        yield 'secret'
    with serving(answering(blocks)) as server, (
            Client(server.address)) as client:
        client.send(get())
        raw = client.read_all()
        assert b'999,' in raw
        assert b'secret' not in raw
        assert not raw.endswith(b'0\r\n\r\n')


def test_empty_blocks_behind_gathered_ones_end_with_the_client() -> None:
    closed, begun = threading.Event(), threading.Event()

    def blocks() -> Iterator[bytes]:
        try:
            yield from [b'a'] * 1000
            while True:
                begun.set()
                yield b''
        finally:
            closed.set()
    with serving(answering(blocks)) as server:
        client = Client(server.address)
        client.send(get())
        assert begun.wait(10)
        reset(client)
        assert closed.wait(10)


def test_blocks_that_grow_are_not_gathered_in_memory() -> None:
    sent: list[int] = []

    def blocks() -> Iterator[bytes]:
        yield from [b'a'] * 100_000
        for number in range(1000):
            sent.append(number)
            yield b'x' * 1_000_000
    with serving(answering(blocks), output_buffer_size=100_000,
                 output_spool_size=100_000) as server, (
            Client(server.address)) as client:
        client.send(get())
        assert client.receive()
        time.sleep(1)
        # What the kernel takes, and what is gathered at most.
        assert len(sent) < gather.MOST_PERMITS + 20
        reset(client)


def test_the_flusher_sleeps_while_nothing_is_gathered() -> None:
    with serving(answering(lambda: iter([b'a'] * 1000))) as server, (
            Client(server.address)) as client:
        client.get()
        flusher: Flusher = server.engine.shared.flusher
        until(lambda: not flusher._watched)
        assert not flusher._wanted.is_set()


def test_no_flusher_is_needed_for_a_few_blocks() -> None:
    with serving(answering(lambda: iter([b'a'] * 5))) as server, (
            Client(server.address)) as client:
        for _ in range(10):
            client.get()
        assert server.engine.shared.flusher._thread is None


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('delay', [0.002, 0.05])
@pytest.mark.parametrize('wait', [0.5, 3.5])
def test_a_late_reader_that_sends_a_stray_line_end_gets_all(
        use_epoll: bool, delay: float, wait: float) -> None:
    body = b'x' * 200_000
    with serving(answering(lambda: [body]), use_epoll=use_epoll,
                 linger_timeout=1) as server:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(20)
            sock.connect(server.address)
            sock.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
                         b'Content-Length: 3\r\n\r\nabc')
            # These are what the test is about, no conditions to wait for.
            time.sleep(delay)
            sock.sendall(b'\r\n')
            time.sleep(wait)
            data = b''
            while piece := sock.recv(65536):
                data += piece
        assert data.endswith(body)
        # The end of the client's side, not a time, ends the connection.
        until(lambda: not server.statistics().connections)


def test_a_client_that_has_read_all_is_not_lingered_for() -> None:
    with serving(hello, linger_timeout=20) as server, (
            Client(server.address)) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        assert client.read_all().endswith(b'hello')
        until(lambda: not server.statistics().connections, 5)


def test_a_drain_leaves_a_late_reader_its_response() -> None:
    body = b'x' * 200_000
    with serving(answering(lambda: [body])) as server, (
            socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(server.address)
        sock.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        assert sock.recv(10)
        sock.sendall(b'\r\n')
        drain = threading.Thread(target=server.drain, args=(20,))
        drain.start()
        # Longer than a drain lingers for a client that has all.
        time.sleep(1.5)
        data = b''
        while piece := sock.recv(65536):
            data += piece
        assert data.endswith(body)
        drain.join(20)
        assert not drain.is_alive()


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('request_', [
    get(target=b'/gone'), post(b'Content-Length: 5\r\n', b'hello')])
def test_requests_whose_clients_are_gone_are_skipped(
        use_epoll: bool, request_: bytes) -> None:
    gate = Gate()
    with serving(gate, use_epoll=use_epoll) as server:
        first, last = Client(server.address), Client(server.address)
        gone = [Client(server.address) for _ in range(10)]
        with first, last:
            first.send(get(target=b'/first'))
            until(lambda: gate.inside == 1)
            for number, client in enumerate(gone, 1):
                client.send(request_)
                until(lambda wanted=number:
                      server.statistics().queued == wanted)
            for client in gone:
                reset(client)
            last.send(get(target=b'/last'))
            until(lambda: server.statistics().queued >= 1)
            # There is one way through for the first, and one for the last.
            gate.open(2)
            assert first.response().body == b'/first'
            assert last.response().body == b'/last'
            until(lambda: server.statistics().skipped == 10)
            until(lambda: server.statistics().connections == 2)
            until(lambda: server.statistics().requests == 2)


def test_a_generator_of_empty_blocks_ends_with_its_client() -> None:
    closed = threading.Event()
    begun = threading.Event()

    def blocks() -> Iterator[bytes]:
        try:
            while True:
                begun.set()
                yield b''
        finally:
            closed.set()
    with serving(answering(blocks)) as server:
        client = Client(server.address)
        client.send(get())
        assert begun.wait(10)
        reset(client)
        assert closed.wait(10)


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('leave', [reset, lambda client: client.sock.close()])
def test_an_application_can_ask_for_its_client(
        leave: Any, use_epoll: bool) -> None:
    found: list[bool] = []
    has_begun, is_gone = threading.Event(), threading.Event()

    def application(environ, start_response):
        ask = environ['zope.server.client_disconnected']
        found.append(ask())
        has_begun.set()
        until(ask)
        is_gone.set()
        start_response('200 OK', PLAIN)
        return [b'hello']
    with serving(application, use_epoll=use_epoll) as server:
        client = Client(server.address)
        client.send(get())
        assert has_begun.wait(10)
        leave(client)
        assert is_gone.wait(10)
    assert found == [False]


def test_a_client_that_ends_its_sending_side_gets_its_answer() -> None:
    gate = Gate()
    with serving(gate) as server, Client(server.address) as first, (
            Client(server.address)) as second:
        first.send(get(target=b'/first'))
        until(lambda: gate.inside == 1)
        second.send(get(target=b'/second'))
        second.sock.shutdown(socket.SHUT_WR)
        until(lambda: server.statistics().queued == 1)
        gate.open(2)
        assert second.response().body == b'/second'
        assert server.statistics().skipped == 0
