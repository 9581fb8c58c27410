"""What the log says of requests, and parts of them, that are dropped."""
from __future__ import annotations

import logging

import pytest
from zope.server import request
from zope_server_support.applications import hello
from zope_server_support.applications import showing
from zope_server_support.talking import Client
from zope_server_support.talking import serving

LOGGER = 'zope.server.requests'


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
