"""Logs why requests are refused, without letting clients fill the log."""
from __future__ import annotations

import logging
import re
import time

from zope.server.accesslog import escaped
from zope.server.errors import HTTPError

logger = logging.getLogger('zope.server.requests')

# At most this many lines in each period.
LINES = 10
PERIOD_S = 60.0
# The most of a request line that is shown.
SHOWN_BYTES = 100
line_of = re.compile(rb'[^\r\n]*').match


class RefusalLog:
    """Logs a line for a refused request, LINES of them in PERIOD_S.

    The first line of a later period says how many were left out.
    """

    def __init__(self) -> None:
        self._left = LINES
        self._dropped = 0
        self._ends = 0.0

    def add(self, peer: str, error: HTTPError, first_line: bytes) -> None:
        """Log the error; `first_line` is the request line as it came."""
        now = time.monotonic()
        if now >= self._ends:
            if self._dropped:
                logger.warning('%d further requests were refused since the'
                               ' last line about one', self._dropped)
            self._left, self._dropped = LINES, 0
            self._ends = now + PERIOD_S
        if not self._left:
            self._dropped += 1
            return
        self._left -= 1
        logger.warning('a request from %s is refused with %d: %s It began'
                       ' with "%s"', peer, error.status, error.text,
                       shown(first_line))


def shown(first_line: bytes) -> str:
    """Return what of a request line is shown, and nothing of its fields."""
    found = line_of(first_line)
    line = found[0] if found else b''
    text = escaped(line[:SHOWN_BYTES].decode('latin-1'))
    return text + '...' if len(line) > SHOWN_BYTES else text
