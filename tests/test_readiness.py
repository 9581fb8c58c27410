"""The ready check, against real sockets."""
import contextlib
import socket
import threading
import time

import pytest
from zope.server.server import Server

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import readiness
from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.readiness import wait_until_ready


@contextlib.contextmanager
def serving(statuses):
    """Serve, and answer with `statuses` in turn.

    Return the address, and the list of the paths that were asked for.
    """
    asked = []

    def application(environ, start_response):
        status = statuses[min(len(asked), len(statuses) - 1)]
        asked.append(environ['PATH_INFO'] + '?' + environ['QUERY_STRING'])
        start_response(status, [('Content-Length', '0')])
        return [b'']

    server = Server(application, host='127.0.0.1')
    server.start()
    try:
        yield server.address, asked
    finally:
        server.close()


@pytest.mark.parametrize('status', ['200 OK', '204 No Content', '302 Found'])
def test_ready_at_once(status):
    with serving([status]) as (address, asked):
        assert wait_until_ready(address, '/ready?deep=1', 10,
                                threading.Event())
    assert asked == ['/ready?deep=1']


def test_asked_until_it_is_ready():
    with serving(['503 Not Yet', '404 Not Found', '200 OK']) as (
            address, asked):
        assert wait_until_ready(address, '/', 10, threading.Event())
    assert len(asked) == 3


def test_the_host_and_the_scheme_of_a_proxy():
    """As Django's ALLOWED_HOSTS and a redirect to https want them."""
    seen = []

    def application(environ, start_response):
        seen.append((environ['HTTP_HOST'],
                     environ.get('HTTP_X_FORWARDED_PROTO')))
        fine = seen[-1] == ('www.example.com', 'https')
        start_response('200 OK' if fine else '400 Bad Request',
                       [('Content-Length', '0')])
        return [b'']

    options = option_table.parse({
        'zookeeper': 'z:1', 'path': '/p', 'probe_host': 'www.example.com',
        'probe_scheme': 'https'})
    plain = option_table.parse({'zookeeper': 'z:1', 'path': '/p'})
    server = Server(application, host='127.0.0.1')
    server.start()
    try:
        assert wait_until_ready(server.address, '/', 10, threading.Event(),
                                readiness.question(options))
        assert readiness.ask(server.address, '/', 10,
                             readiness.question(plain)) == 400
    finally:
        server.close()
    assert seen == [('www.example.com', 'https'),
                    (f'127.0.0.1:{server.address[1]}', None)]


@pytest.mark.parametrize('more', [
    {}, {'trusted_proxy_headers': 'forwarded'},
    {'trusted_proxy_headers': 'x-forwarded-proto', 'proxy_protocol': 'yes'},
    {'trusted_proxy': '10.0.0.0/8, 127.0.0.0/8'}])
def test_a_server_that_trusts_proxies_is_asked_as_they_do(more):
    seen = []

    def application(environ, start_response):
        seen.append(environ['wsgi.url_scheme'])
        start_response('200 OK', [('Content-Length', '0')])
        return [b'']

    options = option_table.parse({
        'zookeeper': 'z:1', 'path': '/p', 'probe_scheme': 'https',
        'trusted_proxy': '127.0.0.1', **more})
    server = Server(
        application, host='127.0.0.1', trusted_proxy=options.trusted_proxy,
        trusted_proxy_headers=options.trusted_proxy_headers,
        proxy_protocol=options.proxy_protocol)
    server.start()
    try:
        assert readiness.ask(server.address, '/', 10,
                             readiness.question(options)) == 200
    finally:
        server.close()
    assert seen == ['https']


def test_a_peer_that_is_no_proxy_sends_no_proxy_header():
    with serving(['200 OK']) as (address, asked):
        assert readiness.ask(address, '/', 10, readiness.Question(
            proxies='10.0.0.0/8')) == 200


def test_all_interfaces_are_asked_on_loopback():
    with serving(['200 OK']) as (address, asked):
        assert wait_until_ready(('', address[1]), '/', 10, threading.Event())


def test_never_ready(monkeypatch):
    # No second attempt: one in the last moment is cut on a slow machine.
    monkeypatch.setattr(readiness, 'INTERVAL_S', 10)
    with serving(['503 Not Yet']) as (address, asked):
        with pytest.raises(ReadyError) as caught:
            wait_until_ready(address, '/up', 0.3, threading.Event())
    assert str(caught.value) == (
        "option 'ready': /up did not answer 2xx or 3xx within 0.3 s;"
        ' last: 503')
    assert caught.value.exit_status == 4


def test_asked_until_its_time_is_over():
    with serving(['503 Not Yet']) as (address, asked):
        # The time may end in the middle of an attempt.
        with pytest.raises(ReadyError, match='; last: (503|timed out)$'):
            wait_until_ready(address, '/', 0.3, threading.Event())


def test_a_server_that_never_answers_is_bounded():
    with socket.create_server(('127.0.0.1', 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ReadyError, match='timed out'):
            wait_until_ready(silent.getsockname(), '/', 0.3,
                             threading.Event())
        assert time.monotonic() - started < 10


def test_a_stop_ends_it():
    stopping = threading.Event()
    with serving(['503 Not Yet']) as (address, asked):
        threading.Timer(0.05, stopping.set).start()
        assert not wait_until_ready(address, '/', 60, stopping)


@contextlib.contextmanager
def sending(pieces):
    """Accept connections; answer each with what `pieces()` yields."""
    def serve():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock, contextlib.suppress(OSError):
                    sock.recv(65536)
                    for piece in pieces():
                        sock.sendall(piece)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_what_is_no_http():
    with sending(lambda: [b'\x1b[2J' + b'x' * 1000 + b'\n']) as address:
        answer = readiness.ask(address, '/', 10)
    assert answer.startswith('\\x1b[2Jxxx') and len(answer) < 250
