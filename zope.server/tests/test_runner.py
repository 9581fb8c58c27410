"""``use = egg:zope.server``: from an ini to a server, and its stop."""
from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paste.deploy import loadserver
from zope.server import SettingsError
from zope.server import runner
from zope.server.errors import ServerError
from zope.server.runner import StopRequest
from zope.server.server import Server
from zope.server.settings import rows
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import until

TIMEOUT_S = 30

# What a launcher does; `/wait` is answered once a line comes on stdin.
LAUNCHER = """
import logging, sys
from paste.deploy import loadserver

logging.basicConfig(level=logging.INFO, format='%(name)s %(message)s')

def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        logging.info('waiting')
        sys.stdin.readline()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [environ['SERVER_SOFTWARE'].encode()]

loadserver('config:' + sys.argv[1])(application)
print('returned', flush=True)
"""


class Launched:
    """A launcher's process, whose log is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log = ''

    def read_log(self, pattern: str) -> re.Match[str]:
        """Read the log up to a line that matches."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            self.log += line
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f'{pattern!r} is not in {self.log}')

    def address(self) -> tuple[str, int]:
        """Return the address that is logged."""
        match = self.read_log(r'serving on (\S+):(\d+)$')
        return match[1], int(match[2])

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return (exit status, standard output)."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.log += self.process.stderr.read()
        return self.process.wait(TIMEOUT_S), self.process.stdout.read()


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """An ini that serves on a free port."""
    path = tmp_path / 'web.ini'
    path.write_text('[server:main]\nuse = egg:zope.server\nport = 0\n')
    return path


@contextlib.contextmanager
def launched(ini: Path, more: str = '',
             code: str = LAUNCHER) -> Iterator[Launched]:
    """Run the launcher with an ini."""
    ini.write_text(ini.read_text() + more)
    with subprocess.Popen(
            [sys.executable, '-c', code, str(ini)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        try:
            yield Launched(process)
        finally:
            process.kill()


@pytest.mark.parametrize('number', runner.STOP_SIGNALS)
def test_a_signal_ends_a_launcher_with_status_0(
        ini: Path, number: int) -> None:
    with launched(ini) as process:
        address = process.address()
        assert address[0] == '127.0.0.1'
        assert ask(address).body == b'zope.server'
        process.signal(number)
        assert process.end() == (0, 'returned\n')


@pytest.mark.parametrize('more, interval_s', [
    ('', 0.002), ('switch_interval = 0.01\n', 0.01)])
def test_threads_take_turns_as_often_as_the_ini_says(
        ini: Path, more: str, interval_s: float) -> None:
    code = LAUNCHER.replace("environ['SERVER_SOFTWARE']",
                            'str(sys.getswitchinterval())')
    with launched(ini, more, code) as process:
        assert float(ask(process.address()).body) == pytest.approx(interval_s)


def test_requests_in_flight_are_finished(ini: Path) -> None:
    with launched(ini) as process, Client(process.address()) as client:
        client.send(b'GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
        process.read_log('waiting')
        process.signal(signal.SIGTERM)
        assert process.process.stdin is not None
        process.process.stdin.write('\n')
        process.process.stdin.flush()
        assert client.response().status == 200
        assert process.end() == (0, 'returned\n')


def test_the_drain_ends_after_graceful_timeout(ini: Path) -> None:
    with launched(ini, 'graceful_timeout = 0.1\n') as process, \
            Client(process.address()) as client:
        client.send(b'GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
        process.read_log('waiting')
        process.signal(signal.SIGTERM)
        assert process.end() == (0, 'returned\n')
        assert 'is cut off' in process.log


def test_a_second_signal_ends_it_at_once(ini: Path) -> None:
    with launched(ini, 'graceful_timeout = 3600\n') as process, \
            Client(process.address()) as client:
        client.send(b'GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
        process.read_log('waiting')
        is_cut = threading.Event()

        def insist() -> None:
            # The first signals are one request.
            while not is_cut.wait(0.1):
                process.signal(signal.SIGTERM)

        thread = threading.Thread(target=insist)
        thread.start()
        process.read_log('is cut off')
        is_cut.set()
        thread.join()
        assert process.end() == (1, '')


def test_every_setting_is_an_option_of_the_ini(
        ini: Path, tmp_path: Path) -> None:
    log = tmp_path / 'access.log'
    texts = {row.name: row.default_text for row in rows()
             if row.default_text not in ('none', "''")}
    texts |= {'port': '0', 'host': '::1', 'access_log': str(log),
              'name': 'mine', 'zservertracelog': 'yes',
              'trusted_proxy': '::2', 'trusted_proxy_headers': 'forwarded',
              'url_prefix': '/app'}
    more = ''.join(f'{name} = {text}\n' for name, text in texts.items()
                   if name != 'port')
    assert set(texts) == {row.name for row in rows()}
    with launched(ini, more) as process:
        address = process.address()
        assert address[0] == '[::1]'
        connection = http.client.HTTPConnection('::1', address[1])
        connection.request('GET', '/')
        response = connection.getresponse()
        assert response.getheader('Server') == 'mine'
        assert response.read() == b'mine'
        connection.close()
        process.signal(signal.SIGTERM)
        assert process.end() == (0, 'returned\n')
    assert '"GET / HTTP/1.1" 200 4' in log.read_text()
    assert 'zc.tracelog' in process.log


def test_what_the_options_mean_without_an_ini() -> None:
    defaults = {name: option.default
                for name, option in runner.OPTIONS.items()}
    assert (defaults['host'], defaults['port'], defaults['threads']) == (
        '127.0.0.1', 8080, 4)
    assert [row.name for row in rows()] == list(defaults)


def test_all_that_is_wrong_is_said_together(ini: Path) -> None:
    ini.write_text(ini.read_text() + 'treads = 4\nbody_memory = 64 XB\n')
    with pytest.raises(SettingsError) as caught:
        loadserver(f'config:{ini}')(hello)
    assert str(caught.value).splitlines() == [
        "server section of web.ini: unknown option 'treads' (did you mean"
        " 'threads'?)",
        "server section of web.ini: option 'body_memory': '64 XB' is not a"
        ' size of at least one byte, such as 65536, 64 KiB or 1 GiB']
    assert isinstance(caught.value, ValueError)


def test_an_option_may_have_the_name_of_an_argument(ini: Path) -> None:
    ini.write_text(ini.read_text() + 'application = a\nglobal_conf = b\n')
    with pytest.raises(SettingsError) as caught:
        loadserver(f'config:{ini}')(hello)
    assert [problem.split(' (')[0] for problem in caught.value.problems] == [
        "unknown option 'application'", "unknown option 'global_conf'"]


def test_options_without_an_ini() -> None:
    with pytest.raises(SettingsError) as caught:
        runner.run(hello, None, port='x')
    assert str(caught.value) == (
        "option 'port': 'x' is not a whole number from 0 to 65535")


def test_a_port_in_use() -> None:
    server = Server(hello, host='127.0.0.1')
    try:
        with pytest.raises(ServerError, match='in use'):
            runner.run(hello, {}, port=str(server.address[1]))
    finally:
        server.close()


# In this process.

def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in runner.STOP_SIGNALS]
    ports = []
    server = Server(hello, host='127.0.0.1')

    def start() -> None:
        server.start()
        ports.append(ask(server.address).status)
        os.kill(os.getpid(), signal.SIGTERM)

    request = StopRequest()
    runner.serve_until(request, server, start, TIMEOUT_S)
    assert ports == [200]
    assert not request.is_repeated
    assert [signal.getsignal(number)
            for number in runner.STOP_SIGNALS] == before


def test_handlers_are_restored_when_the_start_fails() -> None:
    before = [signal.getsignal(number) for number in runner.STOP_SIGNALS]
    server = Server(hello, host='127.0.0.1')

    def start() -> None:
        raise RuntimeError('no')

    with pytest.raises(RuntimeError):
        runner.serve_until(StopRequest(), server, start, TIMEOUT_S)
    assert [signal.getsignal(number)
            for number in runner.STOP_SIGNALS] == before
    with pytest.raises(OSError):
        ask(server.address)


def test_another_thread_installs_no_handlers() -> None:
    before = [signal.getsignal(number) for number in runner.STOP_SIGNALS]
    server, request = Server(hello, host='127.0.0.1'), StopRequest()
    thread = threading.Thread(target=runner.serve_until, args=(
        request, server, server.start, TIMEOUT_S))
    thread.start()
    assert ask(server.address).body == b'hello'
    assert [signal.getsignal(number)
            for number in runner.STOP_SIGNALS] == before
    request.make()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def test_signals_of_one_moment_are_one_request() -> None:
    request = StopRequest()
    for _ in range(3):
        request.make()
    assert not request.is_repeated
    request.wait()


def test_a_repeated_request_ends_the_drain() -> None:
    gate = Gate()
    server, request = Server(gate, host='127.0.0.1'), StopRequest()
    thread = threading.Thread(target=runner.serve_until, args=(
        request, server, server.start, 3600))
    thread.start()
    with Client(server.address) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        until(lambda: gate.inside)

        def is_over() -> bool:
            request.make()
            return not thread.is_alive()

        until(is_over)
    assert request.is_repeated
    gate.open()
