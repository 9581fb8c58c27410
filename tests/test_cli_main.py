import sys

import pytest

from zc.zkzopeserver.cli import instance as place
from zc.zkzopeserver.cli import main


@pytest.mark.parametrize('argv, expected', [
    ([], ([], 'fg', [])),
    (['fg'], ([], 'fg', [])),
    (['status', '--json'], ([], 'status', ['--json'])),
    (['-o', 'a=b', 'stop'], (['-o', 'a=b'], 'stop', [])),
    (['-o', 'stop'], (['-o', 'stop'], 'fg', [])),
    (['--option=a=b', 'stop', '-o', 'c=d'],
     (['--option=a=b'], 'stop', ['-o', 'c=d'])),
    (['--help'], (['--help'], 'fg', [])),
    (['-o'], (['-o'], 'fg', [])),
])
def test_the_verb_is_the_first_word_that_is_no_option(argv, expected):
    assert main.split(argv) == expected


@pytest.mark.parametrize('argv', [
    [], ['fg'], ['fg', '-o', 'port=1', '-o', 'path=/a=b'],
    ['-o', 'port=1', 'fg', '--option', 'path=/a=b'],
    ['-oport=1', 'fg', '--option=path=/a=b'],
])
def test_serving(argv):
    verb, overrides, arguments = main.parse('web', argv)
    assert verb.__name__ == 'zc.zkzopeserver.cli.verbs.fg'
    assert overrides == ({'port': '1', 'path': '/a=b'}
                         if 'port' in str(argv) else {})
    assert arguments is None


def test_options_before_and_behind_the_verb():
    verb, overrides, arguments = main.parse(
        'web', ['-o', 'a=1', '-o', 'b=2', 'status', '-o', 'a=3', '--json'])
    assert verb.__name__ == 'zc.zkzopeserver.cli.verbs.status'
    assert overrides == {'a': '3', 'b': '2'}
    assert arguments.json and not arguments.nagios


def test_a_command_of_the_monitor_may_have_options():
    _, _, arguments = main.parse(
        'web', ['monitor', '--at', 'x:1', 'loglevel', '-o', 'INFO'])
    assert arguments.at == 'x:1'
    assert arguments.command == ['loglevel', '-o', 'INFO']


@pytest.mark.parametrize('argv, words', [
    (['statsu'], "unknown verb 'statsu' (did you mean 'status'?)"),
    (['xyzzy'], "unknown verb 'xyzzy' (known are fg, start, stop,"),
    (['-o', 'port'], "'port' is not NAME=VALUE"),
    (['stop', '-o', '=1'], "'=1' is not NAME=VALUE"),
    (['stop', 'now'], 'unrecognized arguments: now'),
    (['status', '--js'], 'unrecognized arguments: --js'),
    (['fg', 'x'], 'unrecognized arguments: x'),
    (['-o'], 'expected one argument'),
])
def test_a_wrong_command_line(argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main.parse('web', argv)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_help_lists_the_verbs(capsys):
    with pytest.raises(SystemExit) as caught:
        main.parse('web', ['--help'])
    assert not caught.value.code
    output = capsys.readouterr().out
    for verb in main.VERBS:
        assert f'\n  {verb} ' in output
    assert 'exit status' in output


@pytest.mark.parametrize('verb', main.VERBS)
def test_every_verb_explains_itself_and_its_exit_statuses(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main.parse('web', [verb, '--help'])
    assert not caught.value.code
    output = capsys.readouterr().out
    assert output.startswith(f'usage: web {verb} ')
    assert '\nexit status' in output and ' 0 ' in output
    assert all(len(line) < 80 for line in output.splitlines())


def test_the_files_are_beside_the_ini(tmp_path):
    found = place.Place(str(tmp_path / 'web.ini'), 'web')
    assert found.pid_file == str(tmp_path / 'web.pid')
    assert found.socket == str(tmp_path / 'web.sock')
    assert found.transcript == str(tmp_path / 'web.log')
    assert (found.user, found.start_timeout) == ('', None)


def test_the_files_are_where_the_start_script_says():
    found = place.Place('/etc/x/web.ini', run={
        'pid': '/run/x/web.pid', 'socket': '/run/x/web.sock',
        'transcript': '/log/web.log', 'user': 'www', 'start_timeout': 5.0})
    assert found.name == 'web'
    assert found.pid_file == '/run/x/web.pid'
    assert found.socket == '/run/x/web.sock'
    assert found.transcript == '/log/web.log'
    assert (found.user, found.start_timeout) == ('www', 5.0)


def test_a_start_script_that_says_what_nobody_knows():
    with pytest.raises(TypeError, match='unknown colour; known are pid'):
        place.Place('web.ini', run={'colour': 'red'})


@pytest.mark.parametrize('argv', [[], ['start'], ['start', '-o', 'a=b']])
def test_what_runs_this_program_again(monkeypatch, argv):
    monkeypatch.setattr(sys, 'orig_argv',
                        ['python', '-W', 'error', 'bin/web', *argv])
    assert place.program(argv) == [sys.executable, '-W', 'error', 'bin/web']


def test_what_runs_this_program_again_is_an_absolute_script(
        monkeypatch, tmp_path):
    (tmp_path / 'web').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'orig_argv', ['python', 'web', 'start'])
    monkeypatch.setattr(sys, 'argv', ['web', 'start'])
    assert place.program(['start']) == [sys.executable,
                                        str(tmp_path / 'web')]
