"""What a server in the background and its manager write: a file."""
from __future__ import annotations

import contextlib
import os
import re
import signal

# The most that is read of it.
TAIL_BYTES = 64 * 1024

_ended = re.compile(
    r' zdaemon pid (\d+): (?:exit status (\d+)|terminated by (\w+))').findall


def size(path: str) -> int:
    """How long the transcript is."""
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0


def tail(path: str, start: int = 0, lines: int = 20) -> list[str]:
    """The last lines of the transcript, of those behind byte `start`.

    Who sends requests may have had a hand in them: what a terminal would
    obey is escaped.
    """
    try:
        with open(path, 'rb') as file:
            end = file.seek(0, os.SEEK_END)
            if end < start:
                # It was rotated meanwhile.
                start = 0
            file.seek(max(start, end - TAIL_BYTES))
            text = file.read().decode(errors='replace')
    except OSError:
        return []
    return [_printable(line) for line in text.splitlines()[-lines:]]


def _printable(line: str) -> str:
    return ''.join(sign if sign.isprintable() or sign == '\t'
                   else ascii(sign)[1:-1] for sign in line)


def exit_status(path: str, start: int) -> int | None:
    """How the server ended last, by the transcript behind byte `start`.

    Minus the number of a signal; None when it does not say.
    """
    ends = _ended('\n'.join(tail(path, start, 1000)))
    if not ends:
        return None
    _, status, name = ends[-1]
    if status:
        return int(status)
    return -getattr(signal, name, 1)


def last_lines(path: str, start: int = 0) -> list[str]:
    """The last lines, for an error's message, and whose they are."""
    lines = tail(path, start)
    if not lines:
        return [f'nothing was written to {path}']
    return [f'the last lines of {path}:', *(f'    {line}' for line in lines)]
