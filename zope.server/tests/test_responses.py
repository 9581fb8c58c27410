"""Responses as clients see them, where they are not a plain list."""
from __future__ import annotations

import logging

import pytest
from zope.server import headers
from zope.server.errors import ResponseError
from zope_server_support.applications import PLAIN
from zope_server_support.applications import hello
from zope_server_support.talking import Client
from zope_server_support.talking import serving


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
