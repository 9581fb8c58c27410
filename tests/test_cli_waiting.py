"""The progress of a verb, on a terminal and elsewhere."""
import io
import os
import pty

from zc.zkzopeserver.cli.waiting import Progress


def test_elsewhere_a_line_for_each_news():
    stream = io.StringIO()
    with Progress('web', stream) as progress:
        progress.tell('1 of 2')
        progress.tell('1 of 2')
        progress.tell('2 of 2')
        progress.say('up')
    assert stream.getvalue() == 'web: 1 of 2\nweb: 2 of 2\nweb: up\n'


def test_on_a_terminal_one_line(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    # One second passes before the first, two before each of the others.
    clock = iter([10, 11, 13, 15]).__next__
    ours, theirs = pty.openpty()
    with open(theirs, 'w') as stream, open(ours, 'rb', buffering=0) as screen:
        with Progress('web', stream, clock) as progress:
            progress.tell('1 of 2')
            progress.tell('2 of 2')
            progress.say('up')
            progress.tell('more')
        written = b''
        while not written.endswith(b'\x1b[K') or b'more' not in written:
            written += screen.read(1000)
    wipe = b'\r\x1b[K'
    assert written == (b'web: 1 of 2 (1 s)' + wipe + b'web: 2 of 2 (3 s)'
                       + wipe + b'web: up\r\n' + b'web: more (5 s)' + wipe)


def test_a_terminal_that_can_do_nothing(monkeypatch):
    monkeypatch.setenv('TERM', 'dumb')
    ours, theirs = pty.openpty()
    with open(theirs, 'w') as stream, Progress('web', stream) as progress:
        progress.tell('1 of 2')
    assert os.read(ours, 1000) == b'web: 1 of 2\r\n'
    os.close(ours)


def test_when_nobody_reads_any_more():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as stream:
        with Progress('web', stream) as progress:
            progress.say('lost')
        # Let the buffer be flushed at the end without an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
