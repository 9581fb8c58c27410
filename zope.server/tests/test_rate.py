"""Clients that are too slow are ended, however fast they were before."""
from __future__ import annotations

import contextlib
import select
import socket
import time
import types
from collections.abc import Iterator

import pytest
from zope.server.connection import Connection
from zope.server.loop import Loop
from zope.server.output import SendBuffer
from zope.server.rate import MinimumRate
from zope.server.receiver import Receiver
from zope.server.request import Request
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope_server_support.applications import Blocks
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.forms import interpreted
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

LENGTH = b'Content-Length: %d\r\n'
CHUNKED = b'Transfer-Encoding: chunked\r\n'
HALF = b'x' * 400_000
CHUNK = b'%x\r\n%s\r\n' % (len(HALF), HALF)


def lag(moves: list[tuple[float, int]], burst: int = 0, timeout: float = 60,
        rate: int = 500) -> float | None:
    """Return the second at which it is too slow; None if never.

    `moves` are (second, bytes).
    """
    minimum, moved = MinimumRate(burst), 0
    minimum.begin(0)
    for now in range(2_000):
        moved += sum(size for at, size in moves if at == now)
        if minimum.is_too_slow(now, moved, timeout, rate):
            return now
    return None


@pytest.mark.parametrize('moves, expected', [
    ([], 61),
    # Bytes for 30 seconds gain 30 seconds, whenever they move.
    ([(0, 15_000)], 91), ([(50, 15_000)], 91),
    # Much more gains no more than another timeout.
    ([(0, 10 ** 9)], 122), ([(60, 10 ** 9)], 122), ([(62, 10 ** 9)], 61),
    ([(50, 10 ** 6), (100, 10 ** 6), (160, 10 ** 6)], 244),
])
def test_credit_does_not_last(moves: list[tuple[float, int]],
                              expected: float) -> None:
    assert lag(moves) == expected


@pytest.mark.parametrize('step', [1, 7, 59])
def test_a_client_that_keeps_the_rate_is_never_too_slow(step: int) -> None:
    moves = [(at, 500 * step) for at in range(0, 2_000, step)]
    assert lag(moves) is None


@pytest.mark.parametrize('rate', [600, 1000, 1500])
def test_bursts_are_allowed_after_a_lead(rate: int) -> None:
    moves = [(0, 200_000)] + [
        (at, 100_000) for at in range(0, 2_000, 100_000 // rate)]
    assert lag(moves) is not None
    assert lag(moves, 128 * 1024) is None


def test_a_rate_that_is_a_little_too_low_is_not_enough() -> None:
    assert 1_000 < lag([(at, 475) for at in range(2_000)]) < 1_500


@pytest.mark.parametrize('settings', [{}, {'body_spool_size': 100_000}])
@pytest.mark.parametrize('head, part', [
    (LENGTH % (2 * len(HALF)), HALF), (CHUNKED, CHUNK)])
def test_a_fast_upload_that_stops_is_ended(
        head: bytes, part: bytes, settings: dict[str, int]) -> None:
    with serving(hello, body_timeout=0.2, minimum_rate=500,
                 **settings) as server, Client(server.address) as client:
        client.send(post(head, part))
        assert client.response().status == 408
        until(lambda: not server.engine.shared.buffer_pool.used)


def test_empty_lines_give_no_head_its_time_again() -> None:
    shared = SharedState(hello, ('host', 80), Settings())
    shared.now = 0.0
    receiver = Receiver(shared, {}, Request)
    receiver.feed(b'\r')
    for now in range(1, 30):
        shared.now = float(now)
        assert not receiver.feed(b'\n\r')
        assert receiver.overdue(now) is None
    assert receiver.overdue(31.0).status == 408


@interpreted
def test_after_a_standstill_data_is_read_before_clients_are_ended() -> None:
    """Slow clients are ended even so, if it stands still all the time."""
    looked: list[float] = []
    times = iter([100.0, 101.5, 110.0, 111.0, 120.0, 130.0])
    poller = types.SimpleNamespace(
        poll=lambda seconds: [], add_source=lambda fd: None)
    shared = types.SimpleNamespace(
        settings=Settings(), poller=poller, now=0.0,
        buffer_pool=types.SimpleNamespace(trim=lambda: None),
        tick=lambda: setattr(shared, 'now', next(times)))
    loop = Loop(shared, types.SimpleNamespace(fileno=lambda: 0), Connection)
    loop.connections[1] = types.SimpleNamespace(
        is_busy=False, is_idle=False, check=looked.append)
    for _ in range(6):
        loop.turn()
    assert looked == [100, 101.5, 111, 130]


@pytest.mark.parametrize('count, spool', [(400, 2 ** 26), (10_000, 2 ** 20)])
def test_a_fast_reader_that_stops_is_ended(count: int, spool: int) -> None:
    """It is, whether the application is done by then or waits."""
    blocks = Blocks(count)
    with serving(blocks, send_timeout=0.2, minimum_rate=500_000,
                 output_spool_size=spool) as server:
        with Client(server.address) as client:
            # Without this the kernel may take all of it.
            client.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
            client.send(get())
            left = 4_000_000
            # On a slow machine it may be ended before.
            while left > 0 and (found := client.sock.recv(65536)):
                left -= len(found)
            until(lambda: blocks.closed)
            until(lambda: not server.statistics().connections)
            # Some of it was still to come.
            assert len(client.read_all()) < 100_000 * count - 4_000_000


def read(sock: socket.socket, count: int) -> None:
    """Read `count` bytes."""
    while count > 0:
        found = sock.recv(min(65536, count))
        assert found
        count -= len(found)


@contextlib.contextmanager
def reading(block: int) -> Iterator[
        tuple[SendBuffer, socket.socket, socket.socket]]:
    """Yield a send buffer with `block` bytes, its socket, and the client's."""
    with (socket.create_server(('127.0.0.1', 0)) as listening,
          socket.socket() as client):
        # Unread data then waits on the server's side.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        client.settimeout(20)
        client.connect(listening.getsockname())
        sock, _ = listening.accept()
        with sock:
            sock.setblocking(False)
            output = SendBuffer(sock, Settings())
            output.send(b'x' * block)
            try:
                yield output, sock, client
            finally:
                output.abort()


def test_credit_of_a_fast_reader_does_not_last() -> None:
    with reading(10 ** 7) as (output, sock, client):
        for _ in range(50):
            read(client, 100_000)
            if select.select([], [sock], [], 0)[1]:
                output.flush()
        now = time.monotonic()
        assert output.pending
        assert not output.is_stalled(now + 61)
        # Of bytes for 10,000 seconds some for 262 are left.
        assert not output.is_stalled(now + 380)
        assert output.is_stalled(now + 385)


def test_a_steady_reader_is_seen_through_the_kernels_buffer() -> None:
    """The kernel takes nothing for a long time, while the client reads."""
    with reading(10 ** 7) as (output, sock, client):
        silent = 0
        for minute in range(1, 21):
            sent, taken = output.sent, output.acknowledged()
            read(client, 200_000)
            until(lambda: output.acknowledged() > taken)  # noqa: B023
            assert not output.is_stalled(time.monotonic() + 60 * minute)
            if select.select([], [sock], [], 0)[1]:
                output.flush()
            silent += output.sent == sent
        # Without this the test could not fail.
        assert silent > 2
        assert output.is_stalled(time.monotonic() + 60 * 30)
