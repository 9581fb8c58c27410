"""The README: its examples run, its settings are those of the rows."""
from __future__ import annotations

import dataclasses
import doctest
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from paste.deploy import appconfig
from zope.server import Statistics
from zope.server.options import SettingsError
from zope.server.options import option_reference
from zope.server.options import parse_texts
from zope.server.runner import OPTIONS
from zope.server.runner import run
from zope.server.settings import rows
from zope_server_support.applications import hello
from zope_server_support.talking import ask
from zope_server_support.talking import until

README = Path(__file__).parents[1] / 'README.txt'


def block(beginning: str) -> str:
    """Return the indented block of the README that begins so."""
    match = re.search(rf'\n\n((?:    {re.escape(beginning)}.*\n)'
                      r'(?:    .*\n|\n(?=    ))*)', README.read_text())
    assert match, beginning
    return re.sub('^    ', '', match[1], flags=re.MULTILINE)


def test_the_python_examples_run() -> None:
    result = doctest.testfile(str(README), module_relative=False,
                              optionflags=doctest.ELLIPSIS)
    assert result.attempted > 20
    assert not result.failed


def test_the_settings_are_those_of_the_rows() -> None:
    documented = README.read_text().partition('.. settings\n\n')[2].partition(
        '\n.. end of settings')[0]
    assert documented == option_reference(rows())


def test_the_statistics_are_those_of_a_server() -> None:
    section = README.read_text().partition('\nStatistics\n---')[2].partition(
        '\n\n\n')[0]
    assert re.findall('^``([a-z_]+)``$', section, re.MULTILINE) == [
        field.name for field in dataclasses.fields(Statistics)]


def test_the_first_example_serves(tmp_path: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    text = block('from zope.server import serve')
    assert 'port=8080' in text
    path = tmp_path / 'hello.py'
    path.write_text(text.replace('8080', str(port)))
    with subprocess.Popen([sys.executable, str(path)]) as process:
        try:
            until(lambda: answers(port))
            assert ask(('127.0.0.1', port)).body == b'Hello.\n'
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def answers(port: int) -> bool:
    """Whether a server listens."""
    try:
        socket.create_connection(('127.0.0.1', port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_ini_is_right(tmp_path: Path) -> None:
    path = tmp_path / 'web.ini'
    path.write_text(block('[app:main]').replace(
        '[server:main]\nuse = egg:zope.server',
        '[app:server]\nuse = call:zope.server.runner:run'))
    config = appconfig(f'config:{path}', 'server')
    texts = {name: config[name] for name in config.local_conf}
    values, problems = parse_texts(OPTIONS, texts)
    assert not problems
    assert values == {
        'host': '127.0.0.1', 'port': 8080, 'threads': 4,
        'access_log': '/var/log/web/access.log',
        'max_request_body_size': 16 * 2 ** 20}


def test_the_messages_are_the_true_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        run(hello, {'__file__': '/etc/web.ini'}, treads='4',
            body_timeout='5 m')
    assert block('server section of web.ini') == f'{caught.value}\n'
