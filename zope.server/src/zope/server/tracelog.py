"""Trace records of requests, as zc.zservertracelog's reports read them.

A record is ``CODE ID DATE TIME [TEXT]``, with these codes:

B
    a request began: method and target
I
    its input has been read: how many bytes
C
    an application thread took it up
A
    the application has answered: status and length, ``?`` where not known
E
    the request ended
"""
from __future__ import annotations

import datetime
import itertools
import logging

logger = logging.getLogger('zc.tracelog')

# Applications find their request's trace under this key, and write records
# of their own with its method `log`.
ENVIRON_KEY = 'zc.zservertracelog.interfaces.ITraceLog'


class TraceLog:
    """Makes the traces of a server's requests."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def begin(self) -> Trace:
        """The trace of a request whose first byte is here."""
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
        """B, with the time of its beginning, and I."""
        self._log('B', f'{method} {target}', self._began)
        self.log(str(size), 'I')

    def application_begins(self) -> None:
        """C."""
        self.log(code='C')

    def application_ends(self, code: int, length: int | None) -> None:
        """A; `code` is 0, and `length` None, where it is not known."""
        self._has_answered = True
        shown_length = '?' if length is None else length
        self.log(f'{code or "?"} {shown_length}', 'A')

    def failed(self, error: BaseException) -> None:
        """A, if that has not been written, else a word for E."""
        text = f'Error: {shown(error)}'
        if self._has_answered:
            self._failure = text
        else:
            self._has_answered = True
            self.log(text, 'A')

    def request_ends(self) -> None:
        """E."""
        self.log(self._failure, 'E')


def shown(error: BaseException) -> str:
    """What an error says; its class, when it cannot say anything."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 (the application's code)
        return type(error).__name__
