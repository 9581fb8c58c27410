"""Where the files of an instance are, and the command that runs it again."""
import sys

import pytest

from zc.zkzopeserver.cli import instance


def test_the_files_are_beside_the_ini(tmp_path):
    found = instance.Instance(str(tmp_path / 'web.ini'), 'web')
    assert found.pid_file == str(tmp_path / 'web.pid')
    assert found.socket == str(tmp_path / 'web.sock')
    assert found.transcript == str(tmp_path / 'web.log')
    assert (found.user, found.start_timeout) == ('', None)


def test_the_files_are_where_the_start_script_says():
    found = instance.Instance('/etc/x/web.ini', run={
        'pid': '/run/x/web.pid', 'socket': '/run/x/web.sock',
        'transcript': '/log/web.log', 'user': 'www', 'start_timeout': 5.0})
    assert found.name == 'web'
    assert found.pid_file == '/run/x/web.pid'
    assert found.socket == '/run/x/web.sock'
    assert found.transcript == '/log/web.log'
    assert (found.user, found.start_timeout) == ('www', 5.0)


def test_a_start_script_that_says_what_nobody_knows():
    with pytest.raises(TypeError, match='unknown colour; known are pid'):
        instance.Instance('web.ini', run={'colour': 'red'})


@pytest.mark.parametrize('argv', [[], ['start'], ['start', '-o', 'a=b']])
def test_what_runs_this_program_again(monkeypatch, argv):
    monkeypatch.setattr(sys, 'orig_argv',
                        ['python', '-W', 'error', 'bin/web', *argv])
    assert instance.program(argv) == [sys.executable, '-W', 'error', 'bin/web']


def test_what_runs_this_program_again_is_an_absolute_script(
        monkeypatch, tmp_path):
    (tmp_path / 'web').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'orig_argv', ['python', 'web', 'start'])
    monkeypatch.setattr(sys, 'argv', ['web', 'start'])
    assert instance.program(['start']) == [sys.executable,
                                        str(tmp_path / 'web')]
