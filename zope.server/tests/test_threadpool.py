"""The threads: nothing is lost when the leader role changes hands."""
from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest
from zope.server import loop
from zope.server.poller import Waker
from zope_server_support.applications import PLAIN
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import serving
from zope_server_support.talking import until

SCALE = float(os.environ.get('ZOPE_SERVER_SCALE', '1'))


class Moody:
    """An application that is quick, then slow, and seldom very slow."""

    def __init__(self) -> None:
        self.idents: set[int] = set()
        self.inside: set[int] = set()
        self.most = 0
        self._count = itertools.count()

    def __call__(self, environ, start_response):
        ident = threading.get_ident()
        self.idents.add(ident)
        self.inside.add(ident)
        self.most = max(self.most, len(self.inside))
        number = next(self._count)
        if number % 1500 > 1100:
            time.sleep(0.001)
        elif number % 700 == 0:
            time.sleep(0.03)
        start_response('200 OK', PLAIN)
        self.inside.discard(ident)
        return [environ['PATH_INFO'].encode()]


@pytest.mark.parametrize('threads, use_epoll', [
    (1, True), (2, True), (4, True), (3, False)])
def test_every_request_is_answered_in_order(threads: int,
                                            use_epoll: bool) -> None:
    moody = Moody()
    rounds = int(60 * SCALE)
    with serving(moody, threads=threads, use_epoll=use_epoll) as server:
        failures = []

        def talk(seed: int) -> None:
            chance = random.Random(seed)
            try:
                for _ in range(3):
                    with Client(server.address) as client:
                        converse(client, chance, rounds)
            except (AssertionError, OSError) as error:
                failures.append(error)

        talkers = [threading.Thread(target=talk, args=(number,))
                   for number in range(8)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        assert failures == []
        assert moody.most <= threads
        assert len(moody.idents) <= threads
        until(lambda: server.statistics().connections == 0)
        found = server.statistics()
        assert (found.in_flight, found.queued) == (0, 0)


def converse(client: Client, chance: random.Random, rounds: int) -> None:
    """Send requests in many ways, and check every answer."""
    for number in range(rounds):
        paths = [b'/%d-%d' % (number, part)
                 for part in range(chance.choice([1, 1, 1, 2, 5]))]
        data = b''.join(
            get(target=path) if chance.random() < .7 else
            post(b'Content-Length: 3\r\n', b'abc').replace(b'/ ', path + b' ')
            for path in paths)
        if chance.random() < .2:
            place = chance.randrange(len(data))
            client.send(data[:place])
            data = data[place:]
        client.send(data)
        for path in paths:
            assert client.response().body == path


def test_quick_requests_are_run_by_the_leader() -> None:
    polled = set()

    def noting(environ, start_response):
        polled.add(threading.current_thread().name.rpartition('-')[2])
        return hello(environ, start_response)

    with serving(noting) as server, Client(server.address) as client:
        began = time.process_time()
        for _ in range(3000):
            client.get()
        # Never the polling thread: an application may keep data by thread.
        assert polled == {'1'}
        assert time.process_time() - began < 30


def test_an_idle_server_sleeps() -> None:
    with serving(hello, threads=4) as server:
        with Client(server.address) as client:
            for _ in range(600):
                client.get()
            before = time.process_time()
            threading.Event().wait(1)
            assert time.process_time() - before < 0.1


def test_requests_now_and_then_are_answered_at_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    # Without this the next sweep would come to the rescue.
    monkeypatch.setattr(loop, 'SWEEP_S', 60)
    with serving(hello, threads=2) as server:
        with Client(server.address) as client:
            for _ in range(600):
                client.get()
            slowest = 0.0
            for _ in range(20):
                threading.Event().wait(0.03)
                began = time.monotonic()
                client.get()
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 15


def test_an_application_that_answers_itself() -> None:
    # A request that waits for another needs the second thread.
    addresses = []

    def recursive(environ, start_response):
        if environ['PATH_INFO'] == '/outer':
            body = ask(addresses[0], b'/inner').body
        else:
            body = b'inner'
        start_response('200 OK', PLAIN)
        return [body]

    with serving(recursive, threads=2) as server:
        addresses.append(server.address)
        with Client(server.address) as client:
            for _ in range(3):
                for _ in range(300):
                    assert client.get(b'/inner').body == b'inner'
                for _ in range(5):
                    assert client.get(b'/outer').body == b'inner'


@contextlib.contextmanager
def failing(text: str, kind: type[BaseException],
            name: str = 'zc.tracelog') -> Iterator[None]:
    """Have a filter of a logger fail once, at a record with `text`."""
    logger = logging.getLogger(name)

    def fail(record: logging.LogRecord) -> bool:
        if text in record.getMessage():
            logger.removeFilter(fail)
            raise kind('the filter')
        return True

    logger.setLevel(logging.INFO)
    logger.addFilter(fail)
    try:
        yield
        assert fail not in logger.filters
    finally:
        logger.removeFilter(fail)
        logger.setLevel(logging.NOTSET)


KINDS = pytest.mark.parametrize('kind', [ValueError, SystemExit])


@KINDS
def test_nothing_is_left_of_a_request_that_fails_us(
        kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    with serving(hello, zservertracelog=True) as server:
        pool = server.engine.shared.buffer_pool
        with Client(server.address) as client, failing('C 1 ', kind):
            client.send(post(b'Content-Length: 100000\r\n', b'a' * 100000))
            assert client.read_all() == b''
        until(lambda: not pool.used)
        assert ask(server.address).status == 200
    assert 'is closed: this must not happen' in caplog.text


@KINDS
@pytest.mark.parametrize('quick', [0, 600])
def test_a_connection_that_fails_us_afterwards_is_ended(
        quick: int, kind: type[BaseException],
        caplog: pytest.LogCaptureFixture) -> None:
    """Whichever thread leads: after many quick requests it is the pool's."""
    with serving(hello, zservertracelog=True, threads=1) as server:
        with Client(server.address) as client:
            for _ in range(quick):
                client.get()
            with failing('GET /2', kind):
                client.send(get(target=b'/1') + get(target=b'/2'))
                assert client.response().status == 200
                assert client.read_all() == b''
        until(lambda: not server.statistics().connections)
        assert server.statistics().in_flight == 0
        assert ask(server.address).status == 200
    assert 'is closed: this must not happen' in caplog.text


@KINDS
@pytest.mark.parametrize('quick', [0, 600])
def test_the_leader_goes_on_when_a_log_fails(
        quick: int, kind: type[BaseException],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, 'SPARED_S', 60)
    with serving(hello, threads=1, connection_limit=3) as server:
        with Client(server.address) as client, Client(server.address) as idle:
            idle.get()
            for _ in range(quick):
                client.get()
            with failing('which is the connection_limit', kind,
                         'zope.server'):
                with Client(server.address) as other:
                    other.send(get())
                    until(lambda: 'the polling goes on' in caplog.text)
                    assert client.get().status == 200
                    client.sock.close()
                    assert other.response().status == 200


@KINDS
def test_the_leader_goes_on_after_a_call_that_fails(
        kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise kind('the call')

    with serving(hello, threads=1) as server:
        server.call(fail)
        assert ask(server.address).status == 200
    assert 'the polling goes on after a failed call' in caplog.text


def test_a_log_that_always_fails_ends_no_thread() -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise SystemExit('the filter')

    def fail_too() -> None:
        raise SystemExit('the call')

    logger = logging.getLogger('zope.server')
    logger.addFilter(fail)
    try:
        with serving(hello) as server:
            server.call(fail_too)
            assert ask(server.address).status == 200
    finally:
        logger.removeFilter(fail)


def test_a_waker_that_is_set_is_not_written_again() -> None:
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    assert os.read(waker.fd, 100) == b'!'
    waker.close()
    waker.close()
    waker.wake()
    waker.drain()


def test_no_wake_up_is_lost() -> None:
    # `take` looks for work after it drains, `give` wakes after it adds work.
    waker, work, done = Waker(), [], []
    count = int(3000 * SCALE)

    def take() -> None:
        while len(done) < 2 * count:
            os.set_blocking(waker.fd, True)
            os.read(waker.fd, 0)
            time.sleep(0)
            waker.drain()
            while work:
                done.append(work.pop())

    def give() -> None:
        for number in range(count):
            work.append(number)
            waker.wake()

    threads = [threading.Thread(target=target) for target in (take, give,
                                                              give)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    waker.close()
    assert len(done) == 2 * count
