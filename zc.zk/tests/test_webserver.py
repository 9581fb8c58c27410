"""The small HTTP server: one request a connection, in bounded time."""
import socket
import threading
import time

import pytest
from zc.zk import webserver
from zc.zk.testing.waiting import wait_for
from zc_zk_support.httpserver import serving

LIMIT = 2


class Handler(webserver.Handler):
    timeout = 0.5

    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header('Connection', 'close')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def server():
    with serving(webserver.Server(('127.0.0.1', 0), Handler,
                                  LIMIT)) as server:
        yield server


def connected(server):
    return socket.create_connection(server.server_address, 30)


def read(connection):
    """Return all that comes until the end, b'' after a reset."""
    try:
        return b''.join(iter(lambda: connection.recv(65536), b''))
    except ConnectionResetError:
        return b''


INNER = b'GET /inner HTTP/1.1\r\nHost: a\r\n\r\n'


@pytest.mark.parametrize('fields', [
    b'', b'Content-Length: %d\r\n' % len(INNER),
    b'Transfer-Encoding: chunked\r\n',
    # The parser does not see these, and a proxy in front may.
    b'no field\r\nContent-Length: %d\r\n' % len(INNER),
    b'Content-Length : %d\r\n' % len(INNER)])
@pytest.mark.parametrize('method', [b'GET', b'POST'])
def test_a_body_is_no_request(server, method, fields):
    with connected(server) as connection:
        connection.sendall(b'%b /outer HTTP/1.1\r\nHost: a\r\n%b\r\n%b'
                           % (method, fields, INNER))
        connection.shutdown(socket.SHUT_WR)
        answer = read(connection)
    assert b'/inner' not in answer
    assert answer.count(b'HTTP/1.1 ') <= 1


def test_an_answer_is_not_lost_for_an_unread_body(server):
    body = b'x' * 2_000_000
    with connected(server) as connection:
        connection.sendall(b'POST /a HTTP/1.1\r\nHost: a\r\n'
                           b'Content-Length: %d\r\n\r\n%b'
                           % (len(body), body))
        assert read(connection).endswith(b'/a')


def test_who_sends_byte_by_byte_has_no_more_time(server):
    """Each byte comes in time, and the request does not."""
    slow = [connected(server) for _ in range(LIMIT)]
    ended = [threading.Event() for _ in slow]

    def send(connection, event):
        try:
            while not connection.send(b'G') == 0:
                time.sleep(0.05)
        except OSError:
            event.set()

    threads = [threading.Thread(target=send, args=pair, daemon=True)
               for pair in zip(slow, ended, strict=True)]
    for thread in threads:
        thread.start()
    for event in ended:
        assert event.wait(30)
    for each in slow:
        each.close()
    wait_for(lambda: asked(server) == b'/a', 30, 'room')


def asked(server):
    """Return the body of an answer, b'' where there is no room."""
    try:
        with connected(server) as connection:
            connection.sendall(b'GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
            return read(connection).rpartition(b'\r\n\r\n')[2]
    except OSError:
        return b''


def test_threads_that_cannot_be_started_take_no_room(server, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, 'start', fail)
        for _ in range(LIMIT + 1):
            assert asked(server) == b''
    wait_for(lambda: asked(server) == b'/a', 30, 'room')


def test_the_name_of_the_machine_is_not_asked_for(monkeypatch):
    def fail(*arguments):
        raise AssertionError('DNS is asked')

    for name in 'getfqdn', 'gethostbyaddr', 'gethostbyname':
        monkeypatch.setattr(socket, name, fail)
    webserver.Server(('127.0.0.1', 0), Handler, LIMIT).server_close()


def test_ipv6():
    try:
        server = webserver.Server(('::1', 0), Handler, LIMIT)
    except OSError as error:
        pytest.skip(f'no IPv6: {error}')
    server.server_close()
    assert server.server_name == '::1'
