"""Logs why requests are refused, without letting clients fill the log."""
from __future__ import annotations

import logging
import re

from zope.server.accesslog import escaped
from zope.server.errors import HTTPError
from zope.server.limitedlog import LimitedLog

logger = logging.getLogger('zope.server.requests')

# The most of a request line that is shown.
SHOWN_BYTES = 100
line_of = re.compile(rb'[^\r\n]*').match


class RefusalLog:
    """Logs a line for a refused request, within the limits of LimitedLog."""

    def __init__(self) -> None:
        self._log = LimitedLog(
            logger.warning, '%d further requests were refused since the last'
            ' line about one')

    def add(self, peer: str, error: HTTPError, first_line: bytes) -> None:
        """Log the error; `first_line` is the request line as it came."""
        self._log.add('a request from %s is refused with %d: %s It began'
                      ' with "%s"', peer, error.status, error.text,
                      shown(first_line))


def shown(first_line: bytes) -> str:
    """Return what of a request line is shown, and nothing of its fields."""
    found = line_of(first_line)
    line = found[0] if found else b''
    text = escaped(line[:SHOWN_BYTES].decode('latin-1'))
    return text + '...' if len(line) > SHOWN_BYTES else text
