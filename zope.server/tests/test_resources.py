"""What clients cannot take from the server, whatever they do.

``ZOPE_SERVER_SCALE=10`` makes the big tests ten times as big, which is what
they are meant to be: 10,000 connections, gigabytes.
"""
from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from zope.server import connection as connection_module
from zope.server.connection import Connection
from zope.server.receiver import Receiver
from zope.server.request import Request
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope_server_support.applications import PLAIN
from zope_server_support.applications import Blocks
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.lone_server import Process
from zope_server_support.lone_server import process
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import descriptors
from zope_server_support.talking import reset
from zope_server_support.talking import serving
from zope_server_support.talking import until

SCALE = float(os.environ.get('ZOPE_SERVER_SCALE', '1'))
MiB = 2 ** 20


def fill(connection: Connection) -> bytes:
    """Fill the socket's buffers; return what the client gets first."""
    sock, sent, before = connection.sock, 0, -1
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20000)
    while sent != before:
        before = sent
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += sock.send(b'a' * 1000)
        # The client's kernel may take some late, which makes room.
        select.select([], [sock], [], 0.2)
    return b'a' * sent


def is_idle(server: Process) -> bool:
    """Return whether the server takes next to no processor time."""
    before = server.seconds
    time.sleep(0.5)
    return server.seconds - before < 0.2


# Slow clients.

@pytest.mark.parametrize('use_epoll', [True, False])
def test_slow_clients_are_ended(use_epoll: bool) -> None:
    with serving(hello, header_timeout=0.3, body_timeout=0.3,
                 use_epoll=use_epoll) as server:
        with (Client(server.address) as slow_head,
              Client(server.address) as slow_body,
              Client(server.address) as slow_chunks):
            slow_head.send(get()[:-2])
            slow_body.send(post(b'Content-Length: 5\r\n', b'hell'))
            slow_chunks.send(post(b'Transfer-Encoding: chunked\r\n',
                                  b'5\r\nhell'))
            assert slow_head.response().status == 408
            assert slow_body.response().status == 408
            assert slow_chunks.response().status == 408
            assert slow_head.read_all() == b''
        assert ask(server.address).status == 200


@pytest.mark.parametrize('use_epoll', [True, False])
def test_idle_clients_are_ended(use_epoll: bool) -> None:
    with serving(hello, channel_timeout=2, use_epoll=use_epoll) as server:
        with Client(server.address) as idle:
            idle.get()
            with Client(server.address) as silent:
                assert silent.read_all() == b''
            assert idle.read_all() == b''
        assert ask(server.address).status == 200


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('how', ['closed', 'reset', 'half-closed'])
def test_an_end_behind_much_data_is_noticed(
        use_epoll: bool, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed even if the data is read in several turns."""
    monkeypatch.setattr(connection_module, 'RECV_BYTES', 1000)
    monkeypatch.setattr(connection_module, 'READS', range(1))
    with serving(hello, use_epoll=use_epoll) as server:
        polling, stalled = threading.Event(), threading.Event()
        with Client(server.address) as client:
            client.get()
            server.call(lambda: (polling.set(), stalled.wait(20)))
            assert polling.wait(20)
            client.send(post(b'Content-Length: 9000\r\n', b'a' * 5000))
            if how == 'reset':
                reset(client)
            else:
                client.sock.shutdown(socket.SHUT_WR)
            if how == 'closed':
                client.sock.close()
            stalled.set()
            until(lambda: not server.statistics().connections)


def test_what_is_late_is_told_of_by_its_own_line(tmp_path: Path) -> None:
    """The request before must not appear in its place."""
    log = tmp_path / 'access.log'
    with serving(hello, header_timeout=0.3, access_log=str(log)) as server:
        with Client(server.address) as client:
            client.send(get().replace(b'GET', b'HEAD'))
            until(lambda: server.statistics().requests)
            client.send(b'GET /second HTTP/1.1\r\nHost: x')
            answer = client.read_all()
    assert b' 408 ' in answer
    assert answer.endswith(b'The request has not come in time.\n')
    assert '"GET /second HTTP/1.1" 408 ' in log.read_text()


def test_an_empty_line_begins_nothing() -> None:
    shared = SharedState(hello, ('host', 80), Settings())
    shared.now = 100.0
    receiver = Receiver(shared, {}, Request)
    assert not receiver.feed(b'\r\n')
    assert not receiver.has_begun()
    shared.now = 200.0
    assert not receiver.feed(b'GET / HT')
    assert receiver.overdue(200.0 + Settings.header_timeout) is None
    assert receiver.overdue(201.0 + Settings.header_timeout).status == 408


def test_dribbling_does_not_help() -> None:
    with serving(hello, header_timeout=0.5, minimum_rate=1000) as server:
        with Client(server.address) as client:
            client.send(get()[:-2])
            stop = threading.Event()

            def dribble() -> None:
                with contextlib.suppress(OSError):
                    while not stop.wait(0.02):
                        client.send(b'X: a\r\n')

            thread = threading.Thread(target=dribble)
            thread.start()
            assert client.response().status == 408
            stop.set()
            thread.join()


def test_a_steady_upload_may_take_longer() -> None:
    with serving(hello, body_timeout=0.5, minimum_rate=10) as server:
        with Client(server.address) as client:
            client.send(post(b'Content-Length: 1000\r\n', b'x' * 50))
            for _ in range(19):
                time.sleep(0.1)
                client.send(b'x' * 50)
            assert client.response().status == 200


def test_a_client_that_does_not_read_stops_the_application() -> None:
    blocks = Blocks(10_000)
    # The client's kernel soon does not take enough any more.
    with serving(blocks, threads=2, send_timeout=0.5,
                 minimum_rate=10 * MiB, output_spool_size=MiB) as server:
        with Client(server.address) as client:
            client.send(get())
            until(lambda: blocks.sent > 3)
            # Other clients are served meanwhile.
            assert ask(server.address, b'/hello').body == b'hello'
            until(lambda: blocks.closed)
            # The kernel takes some, and so does the server.
            assert blocks.sent < 250
        until(lambda: server.statistics().connections == 0)


def test_a_response_that_fits_does_not_keep_its_thread() -> None:
    blocks = Blocks(80)
    with serving(blocks) as server, Client(server.address) as slow:
        slow.send(get())
        # The application is done long before the client reads.
        until(lambda: blocks.closed)
        assert ask(server.address, b'/hello').body == b'hello'
        assert len(slow.body()) == 8_000_000


def test_a_reader_that_has_stopped_is_ended_after_the_application() -> None:
    blocks = Blocks(400)
    with serving(blocks, send_timeout=0.5, minimum_rate=10 * MiB,
                 output_spool_size=64 * MiB) as server:
        with Client(server.address) as slow:
            # Without this the kernel may take all of it, late.
            slow.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
            slow.send(get())
            until(lambda: blocks.closed)
            until(lambda: server.statistics().connections == 0)


@contextlib.contextmanager
def full(use_epoll: bool) -> Iterator[tuple[Client, Connection, bytes]]:
    """Yield a client, its connection that takes no more, and what it took."""
    with serving(hello, use_epoll=use_epoll) as server:
        with Client(server.address) as client:
            client.get()
            (found,) = server.engine.loop.connections.values()
            until(lambda: found.is_idle)
            yield client, found, fill(found)


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_refusal_goes_out_once_there_is_room(use_epoll: bool) -> None:
    with full(use_epoll) as (client, found, before):
        client.send(b'nonsense\r\n\r\n')
        until(lambda: found.output.pending)
        received = client.read_all()
    assert received.startswith(before + b'HTTP/1.1 400 ')


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_continue_goes_out_once_there_is_room(use_epoll: bool) -> None:
    with full(use_epoll) as (client, found, before):
        client.send(post(b'Content-Length: 5\r\n'
                         b'Expect: 100-continue\r\n'))
        until(lambda: found.output.pending)
        while not client.raw.startswith(before + b'HTTP/1.1 100 '):
            assert client.receive()
        client.raw = client.raw[len(before):]
        client.send(b'hello')
        while b'HTTP/1.1 200 ' not in client.raw:
            assert client.receive()


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_forked_process_keeps_no_connection_alive(use_epoll: bool) -> None:
    """Events of a connection that a child has are not those of the next."""
    gate, held, numbers = Gate(), [], []

    def holding(environ, start_response):
        (found,) = [found for found in
                    server.engine.loop.connections.values()
                    if found.environ['REMOTE_PORT'] == environ['REMOTE_PORT']]
        numbers.append(found.fd)
        if environ['PATH_INFO'] == '/held':
            # As a forked child has it.
            held.append(os.dup(found.fd))
        elif environ['PATH_INFO'] == '/gate':
            return gate(environ, start_response)
        return hello(environ, start_response)

    with serving(holding, threads=2, use_epoll=use_epoll) as server:
        # For the next client, which is not to get the number.
        spare = os.open(os.devnull, os.O_RDONLY)
        old = Client(server.address)
        old.send(get(b'Connection: close\r\n', b'/held'))
        old.response()
        until(lambda: not os.path.exists(f'/proc/self/fd/{numbers[0]}'))
        os.close(spare)
        with Client(server.address) as client:
            client.send(get(target=b'/gate'))
            until(lambda: len(numbers) == 2)
            assert numbers[0] == numbers[1]
            reset(old)
            # By then the poller has told of the reset.
            ask(server.address)
            gate.open()
            assert client.response().status == 200
        os.close(held[0])


@pytest.mark.parametrize('use_epoll', [True, False])
def test_a_slow_reader_gets_everything(use_epoll: bool) -> None:
    blocks = Blocks(150)
    with serving(blocks, use_epoll=use_epoll) as server:
        with Client(server.address) as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            for _ in range(2):
                client.send(get())
                assert client.body() == b'x' * 15_000_000


def test_a_file_is_sent_to_a_slow_reader_without_a_thread(
        tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_bytes(os.urandom(1000) * 20_000)
    closed = []

    def files(environ, start_response):
        if environ['PATH_INFO'] == '/hello':
            return hello(environ, start_response)
        start_response('200 OK', PLAIN)
        file = path.open('rb')
        wrapper = environ['wsgi.file_wrapper'](file)
        wrapper.close = lambda: (file.close(), closed.append(1))
        return wrapper

    with serving(files) as server, Client(server.address) as client:
        client.send(get())
        for _ in range(3):
            assert ask(server.address, b'/hello').body == b'hello'
        assert not closed
        assert client.body() == path.read_bytes()
        until(lambda: closed == [1])
        assert client.get(b'/hello').body == b'hello'
        # Another client goes away.
        with Client(server.address) as other:
            other.send(get())
            other.receive()
        until(lambda: closed == [1, 1])


# Many clients.

@contextlib.contextmanager
def idle_connections(address: tuple[str, int], count: int) -> Iterator[None]:
    """Keep `count` idle connections from another process."""
    script = (
        'import resource, socket, sys\n'
        'host, port, count = sys.argv[1], *map(int, sys.argv[2:])\n'
        'resource.setrlimit(resource.RLIMIT_NOFILE,'
        ' (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)\n'
        'found = [socket.create_connection((host, port)) for _ in'
        ' range(count)]\n'
        'print(flush=True)\n'
        'sys.stdin.read()\n')
    with subprocess.Popen(
            [sys.executable, '-c', script, *map(str, address), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline()
        yield
        running.stdin.close()
        running.wait(60)


def test_many_idle_connections() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100
    count = min(int(1000 * SCALE), most)
    with process({'NOFILE': most + 50}, connection_limit=count + 10
                 ) as server:
        empty = server.peak
        with idle_connections(server.address, count):
            assert ask(server.address).status == 200
            until(lambda: server.descriptors > count)
            assert ask(server.address).status == 200
            assert is_idle(server)
            assert server.peak - empty < count * 10_000 + 10 * MiB
        until(lambda: server.descriptors < 50)


def test_idle_connections_make_room_for_new_ones(
        caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    with serving(gate, connection_limit=5) as server:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(server.address))
                       for _ in range(5)]
            clients[0].send(get())
            until(lambda: gate.inside == 1)
            with Client(server.address) as late:
                late.send(b'GET / HTTP/1.1\r\n\r\n')
                assert late.response().status == 400
            gate.open()
            # The connection with a request in flight was spared.
            assert clients[0].response().status == 200
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        'there are 5 connections, which is the connection_limit; further ones'
        ' have to wait',
        'a request from 127.0.0.1 is refused with 400: The Host field is'
        ' missing. It began with "GET / HTTP/1.1"']


def test_running_out_of_descriptors(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    with log.open('w') as errors, process({'NOFILE': 40}, errors=errors
                                          ) as server:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(server.address))
                       for _ in range(60)]
            # All are busy, so that none can be closed to make room.
            for client in clients:
                client.send(get()[:-2])
            until(lambda: server.descriptors == 40)
            assert is_idle(server)
        until(lambda: server.descriptors < 20)
        assert ask(server.address).status == 200
    lines = log.read_text().splitlines()
    assert lines == ['no connection can be accepted: Too many open files']


def test_gone_before_they_are_accepted() -> None:
    with process(connection_limit=50) as server:
        for _ in range(200):
            reset(Client(server.address))
        assert ask(server.address).status == 200
        until(lambda: server.descriptors < 20)
        assert is_idle(server)


# Much data.

def test_big_bodies_go_to_disk() -> None:
    size = int(100 * MiB * SCALE)
    block = os.urandom(MiB)
    with process(max_request_body_size=2 ** 40) as server:
        empty = server.peak
        with Client(server.address) as client:
            client.send(post(b'Content-Length: %d\r\n' % size).replace(
                b'POST /', b'POST /hash'))
            found = hashlib.sha256()
            for _ in range(size // MiB):
                client.send(block)
                found.update(block)
            client.sock.settimeout(300)
            assert client.response().body == found.hexdigest().encode()
            client.get()
            # The file is gone.
            until(lambda: server.descriptors < 15)
        assert server.peak - empty < 20 * MiB


def test_waiting_bodies_share_their_memory() -> None:
    body = b'x' * 900_000
    with process(body_memory=2_000_000) as server:
        with contextlib.ExitStack() as stack:
            empty = server.peak
            clients = [stack.enter_context(Client(server.address))
                       for _ in range(20)]
            for client in clients:
                client.send(post(b'Content-Length: 1000000\r\n', body))
            until(lambda: server.descriptors > 40)
            for client in clients:
                client.send(b'x' * 100_000)
            for client in clients:
                assert client.response().status == 200
            until(lambda: server.descriptors < 40)
            assert server.peak - empty < 12 * MiB


def test_bodies_of_a_connection_add_up_to_nothing() -> None:
    sizes = []

    def measuring(environ, start_response):
        sizes.append(os.fstat(environ['wsgi.input'].fileno()).st_size)
        return hello(environ, start_response)

    with serving(measuring, body_spool_size=1000) as server:
        with Client(server.address) as client:
            for _ in range(20):
                client.send(post(b'Content-Length: 50000\r\n', b'x' * 50000))
                assert client.response().status == 200
        assert sizes == [50000] * 20


def test_a_full_disk(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    with log.open('w') as errors, process({'FSIZE': MiB}, errors=errors
                                          ) as server:
        for _ in range(3):
            with Client(server.address) as client:
                with contextlib.suppress(OSError):
                    client.send(post(b'Content-Length: 5000000\r\n',
                                     b'x' * 5_000_000))
                assert client.response().status == 503
            assert ask(server.address).status == 200
        # Responses then stay in memory.
        with Client(server.address) as client:
            client.send(get(target=b'/blocks?120'))
            time.sleep(0.2)
            assert len(client.body()) == 12_000_000
        until(lambda: server.descriptors < 15)
    assert 'File too large' in log.read_text()


def test_a_response_of_gigabytes_takes_little_memory() -> None:
    count = int(2000 * SCALE)
    with process() as server:
        empty = server.peak
        with Client(server.address) as client:
            client.send(get(target=b'/blocks?%d' % count))
            time.sleep(0.3)
            size = 0
            while size < count * 100_000:
                size += len(client.sock.recv(MiB))
        assert server.peak - empty < 20 * MiB


def test_a_big_block_to_a_client_that_goes_away() -> None:
    with process() as server:
        for _ in range(3):
            with Client(server.address) as client:
                client.send(get(target=b'/block?50000000'))
                client.receive()
        assert ask(server.address).status == 200
        until(lambda: server.descriptors < 15)


# Clients that break off.

STAGES = {
    'at once': b'',
    'within a line': b'GET /',
    'within a header': get()[:-2],
    'within a body': post(b'Content-Length: 50\r\n', b'hello'),
    'within a big body': post(b'Content-Length: 5000000\r\n', b'x' * 2000000),
    'within chunks': post(b'Transfer-Encoding: chunked\r\n', b'5\r\nhel'),
    'behind a request': get(target=b'/hello'),
    'behind several': get(target=b'/hello') * 20,
    'behind a bad one': b'GET / HTTP/1.1\r\n\r\n',
    'within a response': get(),
    'before a body that was to be continued': post(
        b'Expect: 100-continue\r\nContent-Length: 5\r\n'),
}


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('stage', STAGES)
def test_resets(stage: str, use_epoll: bool) -> None:
    blocks = Blocks(100)
    with serving(blocks, threads=2, use_epoll=use_epoll) as server:
        files = descriptors()
        for number in range(12):
            client = Client(server.address)
            if STAGES[stage]:
                client.send(STAGES[stage])
            if number % 3 == 1:
                time.sleep(0.002)
            if number % 3 == 2 and stage in ('within a response',
                                             'behind a bad one'):
                client.receive()
            if number % 2:
                reset(client)
            else:
                client.sock.close()
        assert ask(server.address, b'/hello').status == 200
        until(lambda: server.statistics().connections == 0)
        found = server.statistics()
        assert (found.in_flight, found.busy_threads) == (0, 0)
        until(lambda: descriptors() == files)
        assert len({ask(server.address, b'/hello').body
                    for _ in range(4)}) == 1


def test_resets_leave_no_errors_in_the_log(
        caplog: pytest.LogCaptureFixture) -> None:
    blocks = Blocks(100)
    with caplog.at_level(logging.INFO), serving(blocks) as server:
        for data in STAGES.values():
            client = Client(server.address)
            client.send(data)
            time.sleep(0.01)
            reset(client)
        until(lambda: server.statistics().connections == 0)
    # Of 'behind a bad one'; the resets themselves are none of the log's.
    assert [record.getMessage() for record in caplog.records] == [
        'a request from 127.0.0.1 is refused with 400: The Host field is'
        ' missing. It began with "GET / HTTP/1.1"']
