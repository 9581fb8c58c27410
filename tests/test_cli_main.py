"""The command line: verbs, options, help, errors."""
import pytest

from zc.zkzopeserver.cli import main
from zc.zkzopeserver.cli.verbs import VERBS
from zc.zkzopeserver.cli.verbs import fg
from zc.zkzopeserver.cli.verbs import status


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
    assert verb is fg.FG
    assert overrides == ({'port': '1', 'path': '/a=b'}
                         if 'port' in str(argv) else {})
    assert arguments is None


def test_options_before_and_behind_the_verb():
    verb, overrides, arguments = main.parse(
        'web', ['-o', 'a=1', '-o', 'b=2', 'status', '-o', 'a=3', '--json'])
    assert verb is status.STATUS
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
    for verb in VERBS:
        assert f'\n  {verb} ' in output
    assert 'exit status' in output
    assert 'The HTTP server, zope.server, is interpreted.\n' in output


@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_explains_itself_and_its_exit_statuses(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main.parse('web', [verb, '--help'])
    assert not caught.value.code
    output = capsys.readouterr().out
    assert output.startswith(f'usage: web {verb} ')
    assert '\nexit status' in output and ' 0 ' in output
    assert all(len(line) < 80 for line in output.splitlines())
