"""Tests of the registry, of how commands are run, and of the basic ones."""
import functools
import gc
import logging
import sys
import weakref

import pytest
import zc.monitor
from zc.monitor import commands
from zc.monitor.interfaces import IMonitorPlugin
from zc.monitor.output import Connection
from zope.component import provideUtility


def run(line):
    connection = Connection(10**6, lambda: None)
    name, *args = line.split()
    result = commands.run(connection, name, args)
    answer = []
    while connection.is_pending():
        connection.send(lambda data: answer.append(data) or len(data))
    return b''.join(answer).decode(), result


def greet(connection, name='world', *more):
    """Say hello

    To the world or to somebody.
    """
    print('Hello', name, *more, file=connection, flush=True)


def test_a_function_is_registered_by_its_name_or_another():
    zc.monitor.register(greet)
    zc.monitor.register(greet, 'hi')
    assert run('greet') == ('Hello world\n', None)
    assert run('hi you there') == ('Hello you there\n', None)


def test_a_utility_is_a_command():
    provideUtility(greet, IMonitorPlugin, 'salute')
    assert run('salute Jim') == ('Hello Jim\n', None)


def test_the_last_registration_counts():
    zc.monitor.register(greet, 'x')
    zc.monitor.register(zc.monitor.quit, 'x')
    assert run('x')[0] == 'Goodbye.\n'


def test_a_command_can_be_taken_away_by_its_name():
    zc.monitor.register(greet)
    zc.monitor.register(greet, 'hi')
    assert zc.monitor.unregister('hi') is True
    assert run('hi') == ("Invalid command 'hi'. Try \"help\".\n", None)
    assert run('greet') == ('Hello world\n', None)
    assert zc.monitor.unregister('hi') is False


def test_a_command_can_be_taken_away_under_all_its_names():
    zc.monitor.register(greet)
    zc.monitor.register(greet, 'hi')
    zc.monitor.register(greet, 'quit')
    zc.monitor.register_basics()  # among them another quit
    assert zc.monitor.unregister(greet) is True
    assert commands.names() == ['help', 'interactive', 'quit']
    assert zc.monitor.unregister(greet) is False
    provideUtility(greet, IMonitorPlugin, 'salute')
    assert zc.monitor.unregister(greet) is True


def test_a_command_that_was_taken_away_is_held_by_nobody():
    class Owner:
        def command(self, connection):
            """Do nothing"""

    one, other = Owner(), Owner()
    zc.monitor.register(one.command, 'x')
    assert zc.monitor.unregister(other.command) is False
    assert run('x') == ('', None)
    assert zc.monitor.unregister(one.command) is True
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_what_has_no_name_needs_one():
    with pytest.raises(ValueError, match='has no __name__: give it a name'):
        zc.monitor.register(functools.partial(greet, name='x'))


@pytest.mark.parametrize('name', ['', 'two words', ' x', 'x\n'])
def test_a_name_is_one_word(name):
    with pytest.raises(ValueError, match='a name of one word'):
        zc.monitor.register(greet, name)


def test_markers_come_back():
    zc.monitor.register_basics()
    assert run('interactive')[1] is zc.monitor.INTERACTIVE_MARKER
    assert run('quit')[1] is zc.monitor.QUIT_MARKER


def test_help_lists_summaries_sorted():
    zc.monitor.register_basics()
    zc.monitor.register(greet)
    zc.monitor.register(lambda connection: None, 'bare')
    assert run('help')[0] == """\
Supported commands:
  bare -- ?
  greet -- Say hello
  help -- Get help about server commands
  interactive -- Turn on monitor's interactive mode
  quit -- Quit the monitor
"""


def test_help_shows_the_whole_docstring():
    zc.monitor.register_basics()
    zc.monitor.register(greet)
    assert run('help greet')[0] == (
        'Help for greet:\n\nSay hello\n\nTo the world or to somebody.\n')
    assert run('help nix')[0] == 'Invalid command \'nix\'. Try "help".\n'


def test_an_unknown_command_is_named_on_one_line():
    assert run('nix') == ('Invalid command \'nix\'. Try "help".\n', None)
    answer, _result = run('x' * 5000 + '\x1b')
    assert answer.count('\n') == 1
    assert len(answer) < 600


def two(connection, first, second):
    """Take two words"""


@pytest.mark.parametrize(('command', 'line', 'usage'), [
    (two, 'c', 'c FIRST SECOND'),
    (two, 'c 1', 'c FIRST SECOND'),
    (two, 'c 1 2 3', 'c FIRST SECOND'),
    (zc.monitor.help, 'c 1 2', 'c [COMMAND]'),
    (lambda connection, a, *rest, b=1, **c: None, 'c', 'c A [REST ...]'),
    (lambda: None, 'c', 'c'),
])
def test_a_wrong_number_of_arguments_gives_the_usage(
        command, line, usage, caplog):
    zc.monitor.register(command, 'c')
    assert run(line)[0] == f'Wrong number of arguments. Usage: {usage}\n'
    assert not caplog.records


def test_a_callable_without_a_signature_is_called():
    calls = []
    zc.monitor.register(type('NoSignature', (), {
        '__signature__': 'none',
        '__call__': lambda self, *args: calls.append(args),
    })(), 'c')
    assert run('c 1') == ('', None)
    assert [args[1:] for args in calls] == [('1',)]


def fail_inside(connection):
    """Raise a TypeError that isn't about our arguments"""
    two(connection)


class ManyLinesError(Exception):
    """A message that doesn't fit a line."""


def many_lines(connection):
    """Fail at length"""
    raise ManyLinesError('one\ntwo\r\n' + 'x' * 5000)


def leave(connection):
    """Try to end the process"""
    sys.exit(3)


@pytest.mark.parametrize(('command', 'start'), [
    (fail_inside, 'TypeError: two() missing 2 required positional argu'),
    (many_lines, f'{__name__}.ManyLinesError: one two xxxx'),
    (leave, 'SystemExit: 3'),
    (lambda connection: connection.write(b'bytes'),
     'TypeError: write takes text (str), not bytes'),
])
def test_an_error_is_one_line_and_its_traceback_is_logged(
        command, start, caplog):
    zc.monitor.register(command, 'c')
    answer, result = run('c')
    assert answer.startswith(start)
    assert answer.endswith('\n')
    assert answer.count('\n') == 1
    assert len(answer) < 600
    assert result is None
    [record] = caplog.records
    assert (record.name, record.levelno) == ('zc.monitor', logging.ERROR)
    assert record.exc_info
    assert record.getMessage() == "Command 'c' failed"
