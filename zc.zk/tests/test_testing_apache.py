"""Test the Apache server: its configuration, readiness and errors."""
import runpy
import socket
import subprocess
import sys

import pytest
from zc.zk.testing.apache import Apache
from zc.zk.testing.apache import four_letter_word
from zc.zk.testing.fixtures import require_apache
from zc.zk.testing.process import NotReady
from zc.zk.testing.waiting import wait_for


def test_runs_as_configured_and_leaves_nothing(tmp_path, no_leaks):
    settings = {'maxSessionTimeout': 12345}
    with Apache(tmp_path / 'one', require_apache(), settings) as apache:
        assert wait_for(apache.mode) == 'standalone'
        assert apache.ask('ruok', 5) == 'imok'
        conf = apache.ask('conf', 5)
        assert 'maxSessionTimeout=12345' in conf
        assert 'minSessionTimeout=400' in conf
        # Another server on the same port is not taken for this one.
        other = Apache(tmp_path / 'other', apache.installation)
        other.port = apache.port
        assert not other.is_ready()
    assert apache.mode() == ''


def test_configuration_it_refuses_is_reported_with_its_words(tmp_path):
    apache = Apache(tmp_path, require_apache(), {'tickTime': 'quick'})
    with pytest.raises(NotReady, match='ended while it started(?s:.*)quick'):
        apache.start()


def test_no_answer_is_empty():
    with socket.create_server(('127.0.0.1', 0)) as silent:
        assert four_letter_word(silent.getsockname(), 'srvr', .05) == ''
        address = silent.getsockname()
    assert four_letter_word(address, 'srvr') == ''


def test_command_says_what_there_is(capsys):
    require_apache()
    with pytest.raises(SystemExit) as end:
        run_command()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('Apache ZooKeeper is in ')


def test_command_that_cannot_fetch_says_why_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv('ZOOKEEPER_HOME', '/nowhere')
    with pytest.raises(SystemExit) as end:
        run_command()
    assert end.value.code == 1
    output = capsys.readouterr()
    assert output.out == ''
    assert output.err.startswith('no Apache ZooKeeper: $ZOOKEEPER_HOME is')
    assert output.err.count('\n') == 1


def run_command():
    runpy.run_path(sys.modules[Apache.__module__].__file__,
                   run_name='__main__')


def test_needs_no_pytest():
    """A script without pytest can start a server with it."""
    code = f"""
import sys
sys.path[:] = {sys.path!r}
import zc.zk.testing.apache
print('pytest' in sys.modules)
"""
    result = subprocess.run([sys.executable, '-c', code], text=True,
                            capture_output=True)
    assert result.stdout == 'False\n', result.stderr
