"""The transcript: the file of what a server in the background writes.

zdaemon writes to it what the server writes to stdout and stderr, and lines of
its own about starts and ends.
"""
from __future__ import annotations

import contextlib
import os
import re
import signal

from zc.zk.printable import printable

# How much of the transcript's end is read.
TAIL_BYTES = 64 * 1024

# The lines among which the end of the server is looked for.
END_LINES = 1000

_ends = re.compile(
    r' zdaemon pid (\d+): (?:exit status (\d+)|terminated by (\w+))').findall


def size(path: str) -> int:
    """Return the size of the transcript in bytes; 0 when there is none."""
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0


def tail(path: str, start: int = 0, lines: int = 20) -> list[str]:
    """Return the last lines of the transcript, from byte `start` on.

    Control characters are escaped: a client may have got them into a log
    line, and a terminal would obey them.
    """
    try:
        # The open of a FIFO would wait for the process at its other end, and
        # the seek fails.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 'rb') as file:
            end = file.seek(0, os.SEEK_END)
            if end < start:
                # It was rotated meanwhile.
                start = 0
            file.seek(max(start, end - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors='replace')
    except OSError:
        return []
    if not text:
        return []
    return ['\t'.join(printable(part, TAIL_BYTES)
                      for part in line.removesuffix('\r').split('\t'))
            for line in text.removesuffix('\n').split('\n')[-lines:]]


def exit_status(path: str, start: int) -> int | None:
    """Return the first exit status of the server, from byte `start` on.

    Later ones are of servers that zdaemon has started again.  For a death by
    a signal it is minus the signal's number.  None when the transcript does
    not say.
    """
    ends = _ends('\n'.join(tail(path, start, END_LINES)))
    if not ends:
        return None
    _, status, name = ends[0]
    if status:
        return int(status)
    return -getattr(signal, name, 1)


def last_lines(path: str, start: int = 0) -> list[str]:
    """Return the last lines for an error message, below a heading."""
    lines = tail(path, start)
    if not lines:
        return [f'nothing was written to {path}']
    return [f'the last lines of {path}:', *(f'    {line}' for line in lines)]
