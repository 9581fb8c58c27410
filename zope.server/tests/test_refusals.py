"""What the log says of requests, and parts of them, that are dropped."""
from __future__ import annotations

import errno
import logging
import tempfile

import pytest
from zope.server import body
from zope.server import headers
from zope.server import limitedlog
from zope.server import refusals
from zope.server import request
from zope.server.errors import HTTPError
from zope_server_support.applications import hello
from zope_server_support.applications import showing
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

LOGGER = 'zope.server.requests'
# What the server keeps of what clients, or applications for them, choose.
CACHES = ((request, 'keys'), (request, 'hosts'), (request, 'dropped'),
          (headers, 'kinds'), (headers, 'statuses'))


def test_a_header_with_an_underscore_is_named_once(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(request, 'keys', dict(request.keys))
    monkeypatch.setattr(request, 'dropped', set())
    with serving(showing('HTTP_X_TEST_USER')) as server, (
            Client(server.address)) as client:
        for _ in range(3):
            assert client.get(b'/', b'X_Test_User: admin\r\n').body == b'None'
        assert client.get(b'/', b'X-Test-User: a\r\n').body == b"'a'"
    assert caplog.record_tuples == [(
        LOGGER, logging.WARNING, 'the header X_Test_User of a request is'
        ' dropped, as its name has an underscore')]


def test_clients_cannot_fill_the_log_with_names(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(request, 'keys', dict(request.keys))
    monkeypatch.setattr(request, 'dropped', set())
    monkeypatch.setattr(request, 'DROPPED_LOGGED', 3)
    monkeypatch.setattr(request, 'KEYS_CACHED', 0)
    with serving(hello) as server, Client(server.address) as client:
        for number in range(5):
            for _ in range(2):
                client.get(b'/', b'X_%d%b: a\r\n' % (number, b'x' * 200))
    assert len(caplog.records) == 3
    assert all(len(record.getMessage()) < 200 for record in caplog.records)


def test_clients_cannot_fill_caches_with_long_texts(
        monkeypatch: pytest.MonkeyPatch) -> None:
    caches = {name: type(getattr(module, name))()
              for module, name in CACHES}
    for module, name in CACHES:
        monkeypatch.setattr(module, name, caches[name])

    def application(environ, start_response):
        # Of what a client has sent, as for "404 There is no /...".
        long = environ['HTTP_HOST']
        start_response(f'200 {long}', [(f'X-{long}', 'a')])
        return [b'']

    with serving(application) as server, Client(server.address) as client:
        for text in b'x' * 10_000, b'short':
            client.send(b'GET / HTTP/1.1\r\nHost: %b\r\n%b: a\r\n'
                        b'X_%b: a\r\n\r\n' % (text, text, text))
            assert client.response().status == 200
    for name, cache in caches.items():
        assert any('short' in each for each in cache), name
        assert all(len(each) <= 200 for each in cache), name


@pytest.mark.parametrize('sent, text', [
    (b'GET /a HTTP/1.1\r\nX: secret\r\n\r\n',
     '400: The Host field is missing. It began with "GET /a HTTP/1.1"'),
    (b'GET /\xe9"\\ HTTP/1.1\r\nHost: a\r\n\r\n',
     '400: The request line is malformed.'
     r' It began with "GET /\xe9\"\\ HTTP/1.1"'),
    (b'GET /a HTTP/1.1\nAuthorization: secret\n\n',
     '400: Lines must end in CR LF. It began with "GET /a HTTP/1.1"'),
    (b'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
     '501: The method is not supported. It began with'
     ' "CONNECT a:1 HTTP/1.1"'),
    (b'GET /#' + b'a' * 200 + b' HTTP/1.1\r\nHost: a\r\n\r\n',
     '400: The target has a fragment. It began with "GET /#' + 'a' * 94
     + '..."'),
    (b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
     '400: The chunked body is malformed: the size or an extension of a chunk'
     ' is wrong. It began with "POST / HTTP/1.1"'),
])
def test_the_log_says_why_a_request_is_refused(
        sent: bytes, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(hello) as server, Client(server.address) as client:
        client.send(sent)
        client.read_all()
        until(lambda: caplog.record_tuples)
    assert caplog.record_tuples == [(
        LOGGER, logging.WARNING,
        f'a request from 127.0.0.1 is refused with {text}')]


def test_clients_cannot_fill_the_log_with_refusals(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    monkeypatch.setattr(limitedlog.time, 'monotonic', lambda: now)
    log = refusals.RefusalLog()
    for _ in range(25):
        log.add('10.0.0.7', HTTPError(400, 'It is wrong.'), b'GET /')
    assert len(caplog.records) == limitedlog.LINES
    now += limitedlog.PERIOD_S
    caplog.clear()
    log.add('10.0.0.7', HTTPError(400, 'It is wrong.'), b'GET /')
    assert [record.getMessage() for record in caplog.records] == [
        '15 further requests were refused since the last line about one',
        'a request from 10.0.0.7 is refused with 400: It is wrong. It began'
        ' with "GET /"']


def test_clients_cannot_fill_the_log_where_the_disk_is_full(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    def full(**options: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(tempfile, 'TemporaryFile', full)
    monkeypatch.setattr(body, 'unkept', limitedlog.LimitedLog(
        body.logger.error, '%d more'))
    with serving(hello, body_spool_size=1) as server:
        for _ in range(2 * limitedlog.LINES):
            with Client(server.address) as client:
                client.send(b'POST / HTTP/1.1\r\nHost: a\r\n'
                            b'Content-Length: 5\r\n\r\nhello')
                assert client.response().status == 503
    told = [record for record in caplog.records
            if 'No space left' in record.getMessage()]
    assert len(told) == limitedlog.LINES
