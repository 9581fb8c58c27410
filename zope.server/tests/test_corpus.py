"""Every case of the HTTP corpus, sent by raw socket."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from wsgiref.validate import validator

import pytest
from zope.server.server import Server
from zope_server_support.corpus import CASES
from zope_server_support.corpus import advisories
from zope_server_support.corpus import connections
from zope_server_support.corpus import limits
from zope_server_support.corpus.application import Recorder
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.running import differences
from zope_server_support.corpus.running import run
from zope_server_support.lone_server import process

KNOWN = {'GET', 'HEAD', 'POST', 'OPTIONS', 'PATCH', 'PUT', 'DELETE',
         'TRACE'}


@pytest.fixture(scope='module')
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope='module')
def server(recorder: Recorder) -> Iterator[Server]:
    valid = validator(recorder)

    def application(environ, start_response):
        # What is below /app/ is meant to be wrong; the validator warns of
        # methods that it does not know, and turns lists into iterators.
        if (environ['PATH_INFO'].startswith('/app/')
                or environ['REQUEST_METHOD'] not in KNOWN
                or environ['SERVER_PROTOCOL'] == 'HTTP/1.0'):
            return recorder(environ, start_response)
        return valid(environ, start_response)

    found = Server(application, host='127.0.0.1', threads=2,
                   **limits.SETTINGS)
    found.start()
    yield found
    found.close()


@pytest.mark.parametrize('case', CASES, ids=[case.name for case in CASES])
def test_case(case: Case, server: Server, recorder: Recorder) -> None:
    outcome = run(case, server.address, recorder)
    assert differences(case, outcome, recorder) == []


def test_the_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('use_epoll', [True, False])
def test_cases_against_a_process(use_epoll: bool) -> None:
    with process(use_epoll=use_epoll, **limits.SETTINGS) as server:
        for case in (*advisories.CASES, *connections.CASES):
            outcome = run(case, server.address, Recorder())
            # The application's record stays in that process.
            assert differences(
                dataclasses.replace(case, seen=()), outcome, Recorder()) == []
