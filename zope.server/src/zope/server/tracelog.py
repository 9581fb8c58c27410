"""Trace records of requests, as zc.zservertracelog's reports read them.

A record is ``CODE ID DATE TIME [TEXT]``, with these codes:

B
    a request began: method and target
I
    its body has been read: how many bytes
C
    a thread calls the application
A
    the application has returned: status and length, ``?`` where not known
E
    the request ended
"""
from __future__ import annotations

import datetime
import itertools
import logging

logger = logging.getLogger('zc.tracelog')

# Applications find the trace of their request under this key, and write
# records of their own with its method `log`.
ENVIRON_KEY = 'zc.zservertracelog.interfaces.ITraceLog'


class TraceLog:
    """Makes the traces of a server's requests."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def begin(self) -> Trace:
        """Return the trace of a request whose first byte has come."""
        return Trace(next(self._numbers))


class Trace:
    """The records of one request."""

    __slots__ = ('_number', '_began', '_has_answered', '_failure')

    def __init__(self, number: int) -> None:
        self._number = number
        self._began = datetime.datetime.now()
        self._has_answered = False
        self._failure = ''

    def log(self, msg: str | None = None, code: str = '-') -> None:
        """Write a record."""
        self._log(code, msg, datetime.datetime.now())

    def _log(self, code: str, text: str | None,
             when: datetime.datetime) -> None:
        stamp = when.isoformat(' ', 'microseconds')
        # Text is quoted as it would be between quotation marks, so that a
        # record stays a line.
        quoted = f' {repr(text)[1:-1]}' if text else ''
        logger.info('%s %s %s%s', code, self._number, stamp, quoted)

    def request_complete(self, method: str, target: str, size: int) -> None:
        """Write B, with the time of its beginning, and I."""
        self._log('B', f'{method} {target}', self._began)
        self.log(str(size), 'I')

    def application_begins(self) -> None:
        """Write C."""
        self.log(code='C')

    def application_ends(self, code: int, length: int | None) -> None:
        """Write A; `code` is 0, and `length` None, where it is not known."""
        self._has_answered = True
        shown_length = '?' if length is None else length
        self.log(f'{code or "?"} {shown_length}', 'A')

    def failed(self, error: BaseException) -> None:
        """Write A with the error; if A was written, keep the error for E."""
        text = f'Error: {error_text(error)}'
        if self._has_answered:
            self._failure = text
        else:
            self._has_answered = True
            self.log(text, 'A')

    def request_ends(self) -> None:
        """Write E."""
        self.log(self._failure, 'E')


def error_text(error: BaseException) -> str:
    """Return the text of an error, or its class if that fails."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 (the application's code)
        return type(error).__name__
