"""What a server counts: as many requests as its clients have sent."""
from __future__ import annotations

import dataclasses
import itertools
import operator
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import booleans
from hypothesis.strategies import floats
from hypothesis.strategies import integers
from hypothesis.strategies import lists
from hypothesis.strategies import sampled_from
from hypothesis.strategies import tuples
from zope.server.connection import Connection
from zope.server.measured import MeasuredConnection
from zope.server.metrics import BUCKETS_S
from zope.server.metrics import COLUMNS
from zope.server.metrics import MOST_ENTRIES
from zope.server.metrics import USUAL_S
from zope.server.metrics import Histogram
from zope.server.metrics import Measures
from zope.server.metrics import Meter
from zope.server.server import Server
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.counting import Counts
from zope_server_support.counting import application
from zope_server_support.counting import clients
from zope_server_support.talking import RESET
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import serving
from zope_server_support.talking import until


def counted(server: Server, count: int) -> Measures:
    """Return the measures once `count` requests and refusals are counted."""
    def look() -> Measures | None:
        found = server.measures()
        assert found is not None
        return found if (sum(found.requests.values())
                         + sum(found.refused.values())) >= count else None
    return until(look)


def test_nothing_is_counted_unless_asked() -> None:
    with serving(hello) as server:
        ask(server.address)
        assert server.measures() is None
        [connection] = list(server.engine.loop.connections.values()) or [None]
        assert connection is None or type(connection) is Connection


@pytest.mark.parametrize('threads', [1, 4])
def test_counts_are_those_of_the_clients(threads: int) -> None:
    with serving(application, measure=True, threads=threads) as server:
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda seed: clients(
                server.address, 100, seed), range(8)))
        told = sum(parts, Counts())
        assert told.cut and told.refused and told.connections
        until(lambda: Counts.of(server.measures()) == told)
        measures = server.measures()
        assert measures is not None
        requests = sum(measures.requests.values())
        assert sum(measures.duration.counts) == requests
        assert sum(measures.queue.counts) == requests
        assert len(measures.duration.counts) == len(BUCKETS_S) + 1
        assert measures.duration.total >= measures.queue.total


@pytest.mark.parametrize(('method', 'a_connection'), [
    ('GET', 512), ('GET', 8), ('GET', 1), ('DELETE', 512), ('DELETE', 8)])
def test_counts_that_are_read_meanwhile_never_fall(
        method: str, a_connection: int) -> None:
    """Usual and other requests, on connections that end all the time."""
    count, seen = 512, [(0, 0.0, 0.0, 0)]

    def ask_often(address: tuple[str, int]) -> None:
        for _ in range(count // a_connection):
            with Client(address) as client:
                for _ in range(a_connection):
                    client.send(f'{method} / HTTP/1.1\r\nHost: x\r\n\r\n'
                                .encode())
                    assert client.response().status == 200

    with serving(hello, measure=True, threads=4) as server:
        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(ask_often, server.address)
                       for _ in range(4)]
            while not all(client.done() for client in clients):
                found = server.measures()
                requests = found.requests.get((method, 200), 0)
                assert sum(found.duration.counts) == requests
                assert sum(found.queue.counts) == requests
                now = (requests, found.duration.total, found.queue.total,
                       found.response_bytes)
                assert all(map(operator.ge, now, seen[-1]))
                seen.append(now)
        [client.result() for client in clients]
        measures = counted(server, 4 * count)
        assert measures.requests == {(method, 200): 4 * count}
        assert measures.response_bytes == 4 * count * len(b'hello')


def test_requests_that_are_not_usual() -> None:
    """A status, a method, a time, and the end of a connection."""
    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if environ['PATH_INFO'] == '/slow':
            threading.Event().wait(4 * USUAL_S)
        return application(environ, start_response)

    with serving(answer, measure=True) as server:
        with Client(server.address) as client:
            for line in ('GET /', 'GET /404', 'HEAD /', 'GET /slow',
                         'GET /', 'DELETE /'):
                client.send(f'{line} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
                if line == 'HEAD /':
                    client.receive()
                    client.raw = b''
                else:
                    client.response()
            client.send(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                        b'\r\n')
            client.response()
        found = counted(server, 7)
        assert found.requests == {
            ('GET', 200): 4, ('GET', 404): 1, ('HEAD', 200): 1,
            ('DELETE', 200): 1}
        assert sum(found.duration.counts) == sum(found.queue.counts) == 7
        assert sum(found.duration.counts[1:]) >= 1
        assert found.duration.total >= 4 * USUAL_S
        assert found.response_bytes == 6 * len(b'hello')
        assert server.statistics().requests == 7


def test_what_is_noted_is_bounded() -> None:
    with serving(hello, measure=True) as server:
        rows = server.engine.shared.meter._rows
        with Client(server.address) as client:
            for _ in range(2 * MOST_ENTRIES // COLUMNS):
                client.send(b'DELETE / HTTP/1.1\r\nHost: x\r\n\r\n')
                client.response()
                assert len(rows) <= MOST_ENTRIES


def test_what_closed_connections_had_counted_is_kept() -> None:
    with serving(hello, measure=True) as server:
        for number in range(1, 4):
            with Client(server.address) as client:
                client.get()
                counted(server, number)
            until(lambda: not server.engine.loop.connections)
            found = counted(server, number)
            assert found.requests == {('GET', 200): number}
            assert found.response_bytes == number * len(b'hello')
            assert not server.engine.shared.meter._tallies


@dataclasses.dataclass(eq=False)
class Tally:
    """What a connection has counted."""

    usual: int = 0
    sent: int = 0
    duration: float = 0.0
    queue: float = 0.0


@given(lists(tuples(integers(0, 3), booleans(), floats(0, USUAL_S)),
             max_size=50))
def test_sums_never_fall(steps: list[tuple[int, bool, float]]) -> None:
    """Though the sum of the same numbers depends on their order."""
    meter = Meter()
    tallies = [Tally() for _ in range(4)]
    for tally in tallies:
        meter.open(tally)
    last = meter.read()
    for number, is_closing, seconds in steps:
        tally = tallies[number]
        if is_closing:
            meter.close(tally)
            tallies[number] = Tally()
            meter.open(tallies[number])
        else:
            tally.usual += 1
            tally.sent += 5
            tally.duration += seconds
            tally.queue += seconds
        found = meter.read()
        assert found.duration.total >= last.duration.total
        assert found.queue.total >= last.queue.total
        last = found
    counted = [seconds for _, is_closing, seconds in steps if not is_closing]
    assert last.requests.get(('GET', 200), 0) == len(counted)
    assert last.response_bytes == 5 * len(counted)
    assert last.duration.total == pytest.approx(sum(counted))


@given(lists(sampled_from(BUCKETS_S) | floats(0, 20), min_size=1))
def test_buckets(seconds: list[float]) -> None:
    histogram = Histogram()
    histogram.add(list(seconds))
    found = histogram.times()
    assert sum(found.counts) == len(seconds)
    assert found.total == pytest.approx(sum(seconds))
    for index, bound in enumerate(BUCKETS_S):
        assert sum(found.counts[:index + 1]) == sum(
            second <= bound for second in seconds)


def test_methods_that_nobody_knows_are_one() -> None:
    with serving(hello, measure=True) as server:
        with Client(server.address) as client:
            for number in range(20):
                client.send(b'MADE-UP%d / HTTP/1.1\r\nHost: x\r\n\r\n'
                            % number)
                assert client.response().status == 200
        assert counted(server, 20).requests == {('other', 200): 20}


def test_the_time_in_the_queue() -> None:
    gate = Gate()
    with serving(gate, measure=True) as server:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(ask, server.address)
            until(lambda: server.statistics().busy_threads == 1)
            second = pool.submit(ask, server.address)
            until(lambda: server.statistics().queued == 1)
            passed = threading.Event()
            # Longer than the first bucket.
            passed.wait(2 * BUCKETS_S[0])
            gate.open(2)
            assert first.result().status == second.result().status == 200
        measures = counted(server, 2)
        assert measures.queue.total > 2 * BUCKETS_S[0]
        assert sum(measures.queue.counts[1:]) >= 1
        assert measures.duration.total >= measures.queue.total


def test_a_request_that_is_read_late_has_not_waited() -> None:
    """The loop stands still meanwhile, and with it its clock."""
    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        threading.Event().wait(0.3)
        return hello(environ, start_response)

    with serving(slow, measure=True) as server:
        with Client(server.address) as client:
            request = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
            client.send(2 * request)
            client.response()
            client.response()
        measures = counted(server, 2)
        # The second was read when the first was answered.
        assert measures.queue.total < 0.2
        assert measures.duration.total >= 0.6


def test_a_client_that_went_while_its_request_waited() -> None:
    gate = Gate()
    with serving(gate, measure=True) as server:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, server.address)
            until(lambda: server.statistics().busy_threads == 1)
            with Client(server.address) as client:
                client.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
                until(lambda: server.statistics().queued == 1)
                reset(client)
            gate.open()
            assert first.result().status == 200
        measures = counted(server, 2)
        assert measures.requests == {('GET', 200): 1, ('GET', 0): 1}
        assert measures.cut == 1


def test_a_client_that_went_before_it_had_all() -> None:
    """All is kept for it, so that the application's thread was long free."""
    with serving(application, measure=True) as server:
        with Client(server.address) as client:
            client.send(b'GET /block?15000000 HTTP/1.1\r\nHost: x\r\n\r\n')
            found = counted(server, 1)
            assert found.requests == {('GET', 200): 1}
            assert found.cut == 0
            reset(client)
        until(lambda: server.measures().cut == 1)


def test_a_client_that_went_before_its_request_was_over() -> None:
    """What is kept is dropped while the application's thread is still busy."""
    closing, passes = threading.Event(), threading.Event()

    class Body:
        """A body, which takes a while to close."""

        def __iter__(self) -> Iterator[bytes]:
            return iter([b'x' * 15_000_000])

        def close(self) -> None:
            closing.set()
            passes.wait(60)

    def slow(environ: dict[str, Any], start_response: Any) -> Body:
        start_response('200 OK', [])
        return Body()

    with serving(slow, measure=True) as server:
        with Client(server.address) as client:
            client.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            assert closing.wait(60)
            reset(client)
        [connection] = server.engine.loop.connections.values()
        until(lambda: connection.output.is_broken)
        passes.set()
        assert counted(server, 1).requests == {('GET', 200): 1}
        until(lambda: server.measures().cut == 1)


def test_a_client_that_reads_too_slowly() -> None:
    with serving(application, measure=True, send_timeout=0.1,
                 minimum_rate=2 ** 30) as server:
        with Client(server.address) as client:
            client.send(b'GET /block?15000000 HTTP/1.1\r\nHost: x\r\n\r\n')
            until(lambda: server.measures().slow == 1)
        until(lambda: server.measures().cut == 1)


def test_a_stop_that_does_not_wait() -> None:
    gate = Gate()
    with serving(gate, measure=True, threads=1) as server:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ask, server.address)
            until(lambda: server.statistics().busy_threads == 1)
            assert server.drain(0) == 1
            gate.open()
            measures = counted(server, 1)
        assert measures.cut == 1


def test_bytes_of_bodies() -> None:
    def reading(environ: dict[str, Any],
                start_response: Any) -> Iterator[bytes]:
        size = len(environ['wsgi.input'].read())
        start_response('200 OK', [])
        return itertools.repeat(b'x', size)

    with serving(reading, measure=True) as server:
        with Client(server.address) as client:
            client.send(b'POST / HTTP/1.1\r\nHost: x\r\n'
                        b'Content-Length: 100\r\n\r\n' + b'y' * 100)
            assert len(client.response().body) == 100
        measures = counted(server, 1)
        assert measures.request_bytes == measures.response_bytes == 100


def test_connections_count_when_a_server_measures() -> None:
    with serving(hello, measure=True) as server:
        with Client(server.address) as client:
            client.get()
            [connection] = server.engine.loop.connections.values()
            assert type(connection) is MeasuredConnection
        assert counted(server, 1).accepted == 1
        assert Counter(counted(server, 1).requests) == {('GET', 200): 1}


def reset(client: Client) -> None:
    """Close the connection in a way that the server hears of at once."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.sock.close()
