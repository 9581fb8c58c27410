"""The view over HTTP: who is answered, and with what."""
import contextlib
import http.client
import json
import re
import socket

import pytest
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.testing.waiting import wait_for
from zc.zk.view import feed as feeds
from zc.zk.view import server as servers
from zc.zk.view.feed import Feed
from zc.zk.view.server import ViewServer
from zc_zk_support.httpserver import serving


@pytest.fixture
def zk(connect):
    """A connection to the test's ZooKeeper."""
    return connect()


@pytest.fixture
def view(zk):
    """A view of /service that serves."""
    feed = Feed(LiveTree(zk, '/service'), redact_value, 0.02)
    server = ViewServer(('127.0.0.1', 0), feed, 'a <title> & "more"',
                        redact_value, ('zk.example.com',))
    with serving(server):
        yield server
        feed.close()


def ask(view, path='/', method='GET', body=None, **headers):
    """Return (status, headers, text) of a request."""
    connection = http.client.HTTPConnection(*view.server_address, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, {
            name.replace('_', '-'): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


class Stream:
    """An open stream of events."""

    def __init__(self, view):
        self.connection = http.client.HTTPConnection(*view.server_address,
                                                     timeout=30)
        self.connection.request('GET', '/events')
        self.response = self.connection.getresponse()

    def take(self, name):
        """Wait for an event of this name; return its data."""
        while True:
            lines = list(iter(self.response.fp.readline, b'\n'))
            assert lines, 'the stream has ended'
            if lines[0] == f'event: {name}\n'.encode():
                return json.loads(lines[1].removeprefix(b'data: '))


@pytest.fixture
def stream(view):
    """A stream of events that has got the tree."""
    made = Stream(view)
    made.tree = made.take('tree')
    yield made
    made.connection.close()


def test_the_page(zookeeper, view):
    status, headers, text = ask(view)
    assert status == 200
    assert headers['Content-Type'] == 'text/html; charset=utf-8'
    nonce = re.search("script-src 'nonce-([^']+)'",
                      headers['Content-Security-Policy'])[1]
    assert f'<script nonce="{nonce}">' in text
    assert f'<style nonce="{nonce}">' in text
    assert '<h1>a &lt;title&gt; &amp; &quot;more&quot;</h1>' in text
    assert '{{' not in text
    policy = headers['Content-Security-Policy']
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert 'unsafe' not in policy
    assert headers['X-Content-Type-Options'] == 'nosniff'
    assert headers['Referrer-Policy'] == 'no-referrer'
    assert 'Access-Control-Allow-Origin' not in headers
    assert 'Set-Cookie' not in headers
    assert nonce not in ask(view)[1]['Content-Security-Policy']


def test_events(zookeeper, zk, view, stream):
    assert stream.tree['base'] == '/service'
    zk.client.create('/service/a', b'{"password": "hunter2"}')
    told = stream.take('events')
    assert told[0][1] == '/service/a'
    assert 'hunter2' not in json.dumps(told)


def test_downloads(zookeeper, zk, view, stream):
    zk.client.create('/service/a', b'{"password": "hunter2", "x": 1}')
    stream.take('events')
    status, headers, text = ask(view, '/tree.txt')
    assert status == 200
    assert headers['Content-Disposition'] == 'attachment; filename="tree.txt"'
    assert text == ("/service\n  /a\n    password = '********'\n    x = 1\n"
                    '  /providers\n')
    told = json.loads(ask(view, '/tree.json')[2])['children']['a']
    assert told['properties'] == {'password': '********', 'x': 1}
    assert told['stat']['version'] == 0


def test_before_anybody_looks_there_is_no_download(zookeeper, view):
    assert ask(view, '/tree.txt')[0] == 404


@pytest.mark.parametrize('host, status', [
    ('127.0.0.1:{port}', 200), ('localhost:{port}', 200),
    ('LOCALHOST:{port}', 200), ('zk.example.com', 200),
    ('evil.example.com', 421), ('evil.example.com:{port}', 421),
    ('127.0.0.1', 421), ('127.0.0.1:1', 421), ('', 421),
    ('127.0.0.1:{port}.evil.example.com', 421)])
@pytest.mark.parametrize('path', ['/', '/events', '/tree.txt', '/x'])
def test_other_names_get_nothing(zookeeper, view, stream, host, status, path):
    """A page whose name an attacker resolves to us would read the tree."""
    given = host.format(port=view.server_address[1])
    found = ask(view, path, 'HEAD', Host=given)[0]
    assert found == (404 if path == '/x' and status == 200 else status)


def test_no_host_and_two_hosts(zookeeper, view):
    where = view.server_address
    for text in (b'GET / HTTP/1.1\r\n\r\n',
                 b'GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nHost: x\r\n\r\n'
                 % where[1]):
        with socket.create_connection(where, 30) as connection:
            connection.sendall(text)
            assert connection.recv(100).startswith(b'HTTP/1.1 421 ')


@pytest.mark.parametrize('site', ['cross-site', 'same-site', 'x'])
def test_pages_of_other_sites_get_nothing(zookeeper, view, stream, site):
    for path in '/events', '/tree.txt', '/tree.json':
        assert ask(view, path, Sec_Fetch_Site=site)[0] == 403
    # A link to the page may be anywhere.
    assert ask(view, '/', Sec_Fetch_Site=site)[0] == 200


@pytest.mark.parametrize('method', ['PUT', 'DELETE', 'OPTIONS', 'PATCH',
                                    'TRACE', 'CONNECT', 'get'])
def test_nothing_can_be_changed(zookeeper, view, method):
    status, headers, _ = ask(view, '/', method)
    assert status == 501
    assert 'Access-Control-Allow-Methods' not in headers


def compare(view, text, **headers):
    """Return the answer to a comparison."""
    status, _, answer = ask(view, '/compare', 'POST', text,
                            **{'X_Compare': '1', **headers})
    return json.loads(answer) if status == 200 else status


def test_compare(zookeeper, zk, view, stream):
    zk.client.create('/service/a', b'{"password": "hunter2", "x": 1}')
    zk.register('/service/providers', '127.0.0.1:8080')
    wait_for(lambda: '127.0.0.1:8080' in json.dumps(stream.take('events')),
             10, 'the server')
    assert compare(view, b"/a\n  x = 1\n  password = 'hunter2'\n/providers\n"
                   ) == {'lines': []}
    told = compare(view, b"/a\n  x = 2\n  password = 'b'\n/b\n")
    assert sorted(told['lines']) == [
        "/a change property password from '********' to '********'",
        '/a change property x from 1 to 2', 'add /b', 'delete /providers']
    assert compare(view, b'/a\n   /b\n /c\n')['error'].startswith('line ')
    assert compare(view, b'\xff') == {'error': 'this is not UTF-8 text'}


def test_who_may_compare(zookeeper, view, stream):
    assert compare(view, b'/a\n', X_Compare='0') == 404
    assert compare(view, b'/a\n', Host='evil.example.com') == 421
    assert compare(view, b'/a\n', Sec_Fetch_Site='cross-site') == 403
    assert ask(view, '/tree.txt', 'POST', b'', X_Compare='1')[0] == 404


def test_files_have_a_limit(zookeeper, view, stream, monkeypatch):
    monkeypatch.setattr(servers, 'MAX_FILE_BYTES', 100)
    assert compare(view, b'/a\n' * 50) == 413
    for length in '-1', 'x', '1_0', '\xb2', '1' * 5000:
        assert compare(view, b'', Content_Length=length) == 413


def test_what_is_sent_behind_a_request_is_no_request(zookeeper, view, stream):
    # As a page of another site could have a browser send it, or a client
    # that shares a proxy's connection with others.
    host = b'Host: 127.0.0.1:%d\r\n' % view.server_address[1]
    inner = b'GET /tree.txt HTTP/1.1\r\n%b\r\n' % host
    for method, path in (b'POST', b'/x'), (b'GET', b'/'):
        with socket.create_connection(view.server_address, 30) as connection:
            connection.sendall(
                b'%b %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b' % (
                    method, path, host, len(inner), inner))
            connection.shutdown(socket.SHUT_WR)
            answer = b''.join(iter(lambda: connection.recv(65536), b''))
        assert answer.count(b'HTTP/1.1 ') == 1
        assert b'Content-Disposition' not in answer


def test_viewers_have_a_limit(zookeeper, view, stream, monkeypatch):
    monkeypatch.setattr(feeds, 'MAX_VIEWERS', 2)
    second = Stream(view)
    assert second.response.status == 200
    third = Stream(view)
    assert third.response.status == 503
    third.connection.close()
    second.take('tree')
    second.response.close()
    second.connection.close()
    # What is sent next finds that it is gone.
    monkeypatch.setattr(servers, 'BEAT_S', 0.05)
    wait_for(lambda: stream_opens(view), 30, 'a place')


def stream_opens(view):
    """Whether one more viewer is let in."""
    stream = Stream(view)
    stream.connection.close()
    stream.response.close()
    return stream.response.status == 200


def test_connections_have_a_limit(zookeeper, view, stream):
    made = []
    try:
        for _ in range(servers.MAX_CONNECTIONS + 10):
            made.append(socket.create_connection(view.server_address, 30))
        made[-1].settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            assert made[-1].recv(1) == b''
    finally:
        for each in made:
            each.close()
    wait_for(lambda: is_open(view), 30, 'room')


def is_open(view):
    """Whether the page is answered."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(view)[0] == 200


def test_a_viewer_that_stops_reading_disturbs_nobody(zookeeper, zk, view,
                                                     stream):
    stopped = socket.socket()
    stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with stopped:
        stopped.connect(view.server_address)
        stopped.sendall(b'GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n'
                        % view.server_address[1])
        for number in range(30):
            zk.client.create(f'/service/n{number}', json.dumps(
                {'x': 'y' * 100_000}).encode())
            assert stream.take('events')[0][1] == f'/service/n{number}'
