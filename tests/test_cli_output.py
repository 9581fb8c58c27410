"""What the verbs print, without anything that a terminal would obey."""
import errno
import io
import logging
import sys

import pytest

from zc.zkzopeserver.cli import output
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import OutputError


@pytest.mark.parametrize('text, shown', [
    ('', ''), ('a\tb\nc\n', 'a\tb\nc\n'), ('\n', '\n'), ('\n\n', '\n\n'),
    ('\x1b[2J\r\n', '\\x1b[2J\\r\n'), ('\u2028\u202e', '\\u2028\\u202e'),
    ('\udcff', '\\xff'), ('x' * 5000, 'x' * 5000)])
def test_control_characters_are_escaped(text, shown):
    stream = io.StringIO()
    assert output.PrintableStream(stream).write(text) == len(text)
    assert stream.getvalue() == shown


def test_what_the_encoding_does_not_have_is_escaped():
    raw = io.BytesIO()
    stream = output.PrintableStream(io.TextIOWrapper(raw, 'ascii'))
    print('Grüße', file=stream, flush=True)
    assert raw.getvalue() == b'Gr\\xfc\\xdfe\n'


def test_both_streams_are_guarded_for_a_while(capsys):
    before = sys.stdout, sys.stderr
    with output.guarded():
        print('\x1b1')
        print('\x1b2', file=sys.stderr)
        assert not sys.stdout.isatty()
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ('\\x1b1\n', '\\x1b2\n')


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_log_on_a_full_disk_ends_no_verb(monkeypatch):
    """As logging passes over an OSError, and over nothing else."""
    monkeypatch.setattr(sys, 'stdout', Full())
    monkeypatch.setattr(sys, 'stderr', Full())
    with output.guarded():
        with pytest.raises(OutputError, match='^standard output: No space'):
            print('a')
        logging.StreamHandler(sys.stderr).handle(
            logging.makeLogRecord({'msg': 'a'}))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_moves_the_cursor_all_the_same(monkeypatch):
    monkeypatch.delenv('TERM', raising=False)
    terminal = Terminal()
    with Progress('web', output.PrintableStream(terminal)) as progress:
        progress.tell('starting \x1b[2J')
        progress.say('up')
    assert terminal.getvalue() == (
        'web: starting \\x1b[2J (0 s)\r\x1b[Kweb: up\n')
