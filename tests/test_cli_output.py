"""What the verbs print, without anything that a terminal would obey."""
import io
import sys

import pytest

from zc.zkzopeserver.cli import output
from zc.zkzopeserver.cli.waiting import Progress


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
