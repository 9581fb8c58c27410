"""The transcript: its last lines, and how the server ended."""
import pytest

from zc.zkzopeserver.cli import transcript


def test_the_last_lines_from_somewhere_on(tmp_path):
    path = tmp_path / 'log'
    assert transcript.size(str(path)) == 0
    assert transcript.tail(str(path)) == []
    path.write_text('one\n')
    offset = transcript.size(str(path))
    with path.open('a') as file:
        file.write('\n'.join(map(str, range(100))) + '\n')
    assert transcript.tail(str(path), offset, 2) == ['98', '99']
    assert transcript.tail(str(path), offset, 500)[:2] == ['0', '1']
    # It was rotated.
    path.write_text('new\n')
    assert transcript.tail(str(path), 1000) == ['new']


def test_what_a_terminal_would_obey_is_escaped(tmp_path):
    path = tmp_path / 'log'
    path.write_bytes(b'a\tb \x1b[31m\x07 \xc3\xa4 \xff\n')
    assert transcript.tail(str(path)) == ['a\tb \\x1b[31m\\x07 \xe4 \ufffd']


@pytest.mark.parametrize('line, status', [
    ('pid 7: exit status 3; exiting now', 3),
    ('pid 7: exit status 0', 0),
    ('pid 7: terminated by SIGKILL', -9),
    ('pid 7: terminated by SIGSEGV (core dumped)', -11),
    ('sleep 1 to avoid rapid restarts', None)])
def test_how_the_server_ended(tmp_path, line, status):
    path = tmp_path / 'log'
    path.write_text('2026-01-01 00:00:00 INFO zdaemon pid 6: exit status 5\n')
    offset = transcript.size(str(path))
    with path.open('a') as file:
        file.write(f'2026-01-01 00:00:00 INFO zdaemon {line}\nand more\n')
        if status is not None:
            # zdaemon has started it again, and the start has stopped that.
            file.write('2026-01-01 00:00:02 INFO zdaemon pid 8: terminated by'
                       ' SIGTERM\n')
    assert transcript.exit_status(str(path), offset) == status
