"""Every case of the HTTP corpus, by raw socket."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from zc.zkzopeserver.server import Server
from zc.zkzopeserver.tests.http_corpus import CASES
from zc.zkzopeserver.tests.http_corpus import limits
from zc.zkzopeserver.tests.http_corpus.application import Recorder
from zc.zkzopeserver.tests.http_corpus.case import Case
from zc.zkzopeserver.tests.http_corpus.running import differences
from zc.zkzopeserver.tests.http_corpus.running import run


@pytest.fixture(scope='module')
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope='module')
def server(recorder: Recorder) -> Iterator[Server]:
    found = Server(recorder, host='127.0.0.1', threads=2, **limits.SETTINGS)
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
