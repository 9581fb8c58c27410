"""Connections by TCP and TLS, and the reports of their failures."""
import contextlib
import errno
import os
import re
import resource
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil
import pytest
import zc.zk
from kazoo.client import KazooClient
from zc.zk.connection import sockets
from zc.zk.connection import tls
from zc.zk.connection.sockets import BoundedHandler
from zc.zk.connection.sockets import connect_again_and_again
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for
from zc_zk_support.connecting import fails
from zc_zk_support.connecting import told_seconds
from zc_zk_support.tls import Terminator
from zc_zk_support.tls import make_certificate


@pytest.mark.clock
def test_a_silent_server_beside_an_address_without_one(silent, nobody):
    _, seconds = fails(f'{nobody},{silent}', 2.)
    assert seconds > 2.5


def test_one_server_is_silent(silent, zookeeper):
    hosts, _, chroot = zookeeper.connection_string.partition('/')
    for _ in range(5):  # kazoo begins with a random server
        with zc.zk.ZooKeeper(f'{silent},{hosts}/{chroot}', 1.) as zk:
            assert zk.exists('/')


def test_tls(certificate, tls_port, zookeeper):
    cert, key = certificate
    with zc.zk.ZooKeeper(f'localhost:{tls_port}{zookeeper.chroot}',
                         ca=cert, cert=cert, key=key) as zk:
        zk.create('/a', b'x' * 100000)
        assert zk.get('/a')[0] == b'x' * 100000
        registration = zk.register('/', 'a:1')
        assert registration.state == 'registered'


def test_tls_with_a_certificate_for_another_name(certificate, tls_port,
                                                no_leaks):
    cert, key = certificate
    text, _ = fails(f'127.0.0.1:{tls_port}', .8, ca=cert, cert=cert, key=key)
    assert 'certificate verify failed' in text


def test_tls_with_an_unknown_authority(certificate, tls_port, no_leaks):
    text, _ = fails(f'localhost:{tls_port}', .8, cert=certificate[0],
                    key=certificate[1])
    assert 'certificate verify failed' in text


def test_tls_with_a_certificate_that_the_server_refuses(
        certificate, tls_port, tmp_path, no_leaks):
    """Read the refusal, which TLS 1.3 servers send after the handshake."""
    cert, key = make_certificate(tmp_path)
    where = f'localhost:{tls_port}'
    text, _ = fails(where, .8, ca=certificate[0], cert=cert, key=key)
    # On a busy machine it may take longer than 1.5 times the time-out.
    assert re.match(rf'no ZooKeeper answered within [0-9.]+ s at {where} \(',
                    text)
    assert 'alert unknown ca' in text
    text, _ = fails(where, .8, ca=certificate[0])
    assert 'certificate required' in text
    text, seconds = fails(where, 10., ca=certificate[0])
    assert seconds < 14  # less than the 15 s that a silent server gets


def test_tls_with_a_server_that_has_refused_us_before_we_send(certificate):
    """Report the refusal, although the error of `send` has no reason."""
    context = tls.make_context(certificate[0], None, None)
    handler = BoundedHandler(1, partial(tls.wrap, context))
    with Terminator(('127.0.0.1', 1), *certificate) as terminator:
        address = '127.0.0.1', terminator.port
        with handler.create_connection(address, 'localhost') as connection:
            connection.setblocking(False)
            wait_for(lambda: len(terminator.threads) == 2
                     and not terminator.threads[1].is_alive())
            with pytest.raises(OSError) as info:
                while True:
                    connection.send(b'x')
            assert 'certificate required' not in str(info.value)
            assert 'certificate required' in str(handler.failures[address])
            # The end of the connection does not replace it.
            with contextlib.suppress(OSError):
                assert connection.recv(1) == b''
            assert 'certificate required' in str(handler.failures[address])


def test_tls_with_a_server_that_hangs_up(certificate, no_leaks):
    """Connect to a TLS proxy that has lost its ZooKeeper."""
    with Terminator(('127.0.0.1', free_port()), *certificate) as terminator:
        text, _ = fails(f'localhost:{terminator.port}', .8,
                        ca=certificate[0], cert=certificate[0],
                        key=certificate[1])
    # Which text it is depends on how much of our data the server had read.
    assert ('the server closed the connection' in text or 'EOF' in text
            or 'Connection reset by peer' in text or 'Broken pipe' in text)


def test_a_tls_server_that_is_not_asked_for_tls(certificate, tls_port,
                                                no_leaks):
    text, _ = fails(f'localhost:{tls_port}', .8)
    assert 'the server speaks TLS' in text or 'the server hung up' in text


def test_a_timeout_does_not_hide_a_tls_error(silent):
    """Keep the error that tells why, until another kind of error comes."""
    host, _, port = silent.partition(':')
    address = host, int(port)
    refused = ssl.SSLError('certificate verify failed')
    errors = iter([refused, TimeoutError('timed out'), ConnectionResetError()])

    def wrap(connection, hostname, report):
        raise next(errors)

    handler = BoundedHandler(1, wrap)
    for kind in (ssl.SSLError, TimeoutError):
        with pytest.raises(kind):
            handler.create_connection(address)
        assert handler.failures == {address: refused}
    with pytest.raises(ConnectionResetError):
        handler.create_connection(address)
    assert isinstance(handler.failures[address], ConnectionResetError)


def test_after_an_abort_connections_end_at_once(silent):
    host, _, port = silent.partition(':')
    handler = BoundedHandler(1)
    handler.abort()  # there is no connection yet
    with handler.create_connection((host, int(port))) as connection:
        assert connection.recv(1) == b''
    handler.abort()  # the connection is closed already


@pytest.mark.parametrize('said, session_timeout, least, most, told', [
    (b'\x15\x03\x03\0\2\2\x46', 10., 2, 12, '(the server speaks TLS)'),
    # The server may be about to join its ensemble, and gets the time that
    # a silent server gets.
    (b'', 4., 6, 60, '(the server hung up without an answer, as one that'
                     ' speaks TLS does, or one that is not ready)')])
@pytest.mark.clock
def test_a_server_that_hangs_up(said, session_timeout, least, most, told,
                                no_leaks):
    def serve():
        while True:
            connection, _ = server.accept()
            with connection:
                if not connection.recv(1 << 16):
                    return
                connection.sendall(said)

    with socket.create_server(('127.0.0.1', 0)) as server:
        address = server.getsockname()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            text, _ = fails(f'{address[0]}:{address[1]}', session_timeout)
        finally:
            socket.create_connection(address).close()
            thread.join()
    assert text.endswith(told)
    assert least <= told_seconds(text) < most


@contextlib.contextmanager
def deaf_server():
    """Yield (address, hear): a server that drops what asks to connect.

    Its queue is full; `hear` makes room. So the kernel does as a network that
    is cut: it does not refuse, but answers nothing (listen(2)).
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(
            ('127.0.0.1', 0), backlog=0))
        address = server.getsockname()
        with contextlib.suppress(TimeoutError):
            while True:
                stack.enter_context(socket.create_connection(address, 0.3))

        def hear():
            server.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(server.accept()[0])

        yield address, hear


def asking(address):
    """Return how many connections to an address are not answered yet."""
    return sum(each.status == psutil.CONN_SYN_SENT and each.raddr == address
               for each in psutil.Process().net_connections())


def test_while_nobody_answers_others_are_begun_beside(no_leaks):
    with deaf_server() as (address, hear), ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(connect_again_and_again, address, 60)
        wait_for(lambda: asking(address) > 2, 30)
        hear()
        with connecting.result(60) as connection:
            assert connection.getpeername() == address
            assert connection.gettimeout() == 60
            assert asking(address) == 0


def test_where_no_other_can_be_begun_the_first_goes_on(no_leaks, monkeypatch):
    errors = []
    begin = sockets._begin

    def noted(*where):
        try:
            return begin(*where)
        except OSError as error:
            errors.append(error.errno)
            raise

    monkeypatch.setattr(sockets, '_begin', noted)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with deaf_server() as (address, hear), ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(connect_again_and_again, address, 60)
        wait_for(lambda: asking(address))
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            wait_for(lambda: len(errors) > 1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        hear()
        with connecting.result(60) as connection:
            assert connection.getpeername() == address
    assert set(errors) == {errno.EMFILE}


def test_nobody_answers_until_the_time_is_over(no_leaks):
    with deaf_server() as (address, _):
        for timeout in .2, 1:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                connect_again_and_again(address, timeout)
            assert time.monotonic() - began >= timeout


def test_a_server_that_refuses(nobody, no_leaks):
    host, _, port = nobody.partition(':')
    with pytest.raises(ConnectionRefusedError):
        connect_again_and_again((host, int(port)), 30)


def test_an_ipv6_address(no_leaks):
    with socket.create_server(('::1', 0), family=socket.AF_INET6) as server:
        address = server.getsockname()[:2]
        with connect_again_and_again(address, 30) as connection:
            assert connection.getpeername()[:2] == address


def test_our_handler_serves_a_plain_client(zookeeper):
    client = KazooClient(zookeeper.hosts,
                         handler=BoundedHandler(1, None))
    client.start()
    assert client.command(b'ruok') == 'imok'
    for _ in range(2):
        client.stop()
        client.close()
