"""The trace log, and that zc.zservertracelog's report can read it."""
from __future__ import annotations

import importlib
import logging
import re
import subprocess
import sys
import types
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
from zope.server.tracelog import ENVIRON_KEY
from zope_server_support.applications import hello
from zope_server_support.corpus.application import Recorder
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import serving

STAMP = r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}'
Trace = Callable[..., list[str]]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger('zc.tracelog')
    found.setLevel(logging.INFO)
    found.propagate = False
    yield found
    found.setLevel(logging.NOTSET)
    found.propagate = True


@pytest.fixture
def path(tmp_path: Path, logger: logging.Logger) -> Iterator[Path]:
    """Yield the path of a file with the trace records."""
    found = tmp_path / 'trace.log'
    handler = logging.FileHandler(found)
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    handler.close()


@pytest.fixture
def trace(path: Path) -> Trace:
    """Return a function from requests to their ``CODE TEXT`` lines."""
    def run(*requests: bytes, application=hello) -> list[str]:
        with serving(application, zservertracelog=True) as server:
            for request in requests:
                with Client(server.address) as client:
                    client.send(request)
                    for _ in range(request.count(b'HTTP/1.1\r\n')):
                        client.response()
        found = []
        for line in path.read_text().splitlines():
            match = re.fullmatch(rf'(\S) (\d+) {STAMP}( .+)?', line)
            assert match, line
            found.append(match[1] + (match[3] or ''))
        return found
    return run


def test_a_request(trace: Trace) -> None:
    assert trace(get(target=b'/a?b=c')) == [
        'B GET /a?b=c', 'I 0', 'C', 'A 200 ?', 'E']


def test_a_body_and_a_length(trace: Trace) -> None:
    def known(environ, start_response):
        start_response('404 Gone', [('Content-Length', '2')])
        return [b'no']

    assert trace(post(b'Content-Length: 5\r\n', b'hello'),
                 application=known) == [
        'B POST /', 'I 5', 'C', 'A 404 2', 'E']


@pytest.mark.parametrize('name, records', [
    ('raise', ['A Error: secret', 'E']),
    ('raise-in-generator', ['A 200 ?', 'E Error: secret']),
    ('exit', ['A Error: secret', 'E']),
    ('value-with-crlf', [
        'A Error: the value of the header X-Foo has characters that are not'
        " allowed: 'a\\\\r\\\\nX-Evil: b'", 'E']),
])
def test_errors(trace: Trace, name: str, records: list[str]) -> None:
    found = trace(get(target=f'/app/{name}'.encode()),
                  application=Recorder())
    assert found[3:] == records


def test_an_error_that_cannot_be_shown(trace: Trace) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise SystemExit

    def failing(environ, start_response):
        raise Mute

    # The client has an answer even so.
    assert trace(get(), application=failing)[3:] == ['A Error: Mute', 'E']


def test_requests_of_a_connection(trace: Trace) -> None:
    assert trace(get() + get(b'Connection: close\r\n', b'/2')) == [
        'B GET /', 'I 0', 'C', 'A 200 ?', 'E',
        'B GET /2', 'I 0', 'C', 'A 200 ?', 'E']


def test_an_application_can_write_records(trace: Trace) -> None:
    def noisy(environ, start_response):
        environ[ENVIRON_KEY].log('beep\nbeep')
        environ[ENVIRON_KEY].log('1 2', 'D')
        return hello(environ, start_response)

    assert trace(get(), application=noisy)[3:5] == ['- beep\\nbeep', 'D 1 2']


def test_without_it_nothing_is_recorded(path: Path) -> None:
    with serving(hello) as server:
        ask(server.address)
    assert path.read_text() == ''


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory
           ) -> Iterator[types.ModuleType]:
    """Yield zc.zservertracelog's report, without its other requirements.

    It requires zope.app, so it is fetched by itself, where pip can.
    """
    folder = tmp_path_factory.mktemp('zservertracelog')
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
         '--target', str(folder), 'zc.zservertracelog==3.0'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    path = folder / 'zc' / 'zservertracelog' / 'tracereport.py'
    if done.returncode or not path.exists():
        pytest.skip('no zc.zservertracelog: ' + done.stdout.strip()[-200:])
    # A stand-in for the package: its own __init__ would import zope.app.
    package = types.ModuleType('zc.zservertracelog')
    package.__path__ = [str(path.parent)]
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, package.__name__, package)
    try:
        yield importlib.import_module('zc.zservertracelog.tracereport')
    finally:
        sys.modules.pop('zc.zservertracelog.tracereport', None)
        monkeypatch.undo()


@pytest.mark.filterwarnings('ignore:datetime.datetime.utcnow')
def test_the_published_report_reads_it(
        report: types.ModuleType, trace: Trace, path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    trace(*[get(target=b'/app/list')] * 3, get(target=b'/app/raise'),
          get(target=b'/a%0Ab'), application=Recorder())
    report.main([str(path)])
    out = capsys.readouterr().out
    assert 'WTF' not in out
    counts = {line.split()[-1]: line.split()[1]
              for line in out.splitlines() if line.count('/') and 'N=' not in
              line}
    assert counts == {'/app/list': '3', '/app/raise': '1', '/a%0Ab': '1'}
