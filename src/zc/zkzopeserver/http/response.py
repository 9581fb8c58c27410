"""The head of a response: what is allowed in it, and its bytes."""
from __future__ import annotations

import re
import time
from typing import Any

from zc.zkzopeserver.http.errors import ResponseError

PLAIN, LENGTH, DATE, SERVER = range(4)
KINDS = {'content-length': LENGTH, 'date': DATE, 'server': SERVER}
# PEP 3333 keeps these for the server.
HOP_BY_HOP = frozenset((
    'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization',
    'te', 'trailer', 'trailers', 'transfer-encoding', 'upgrade',
    'proxy-connection'))
KINDS_KEPT = 1000
kinds: dict[str, int] = {}

is_status = re.compile(r'[2-9][0-9][0-9](?: [\t -~\x80-\xff]*)?').fullmatch
is_name = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
is_value = re.compile(r'[\t -~\x80-\xff]*').fullmatch

DAYS = 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'
MONTHS = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep',
          'Oct', 'Nov', 'Dec')


def http_date(seconds: float) -> str:
    """A time as HTTP writes it, whatever the locale."""
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    return (f'{DAYS[weekday]}, {day:02} {MONTHS[month - 1]} {year}'
            f' {hour:02}:{minute:02}:{second:02} GMT')


def shown(value: Any) -> str:
    """A value of the application's as a message quotes it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


class ResponseHead:
    """Status and header fields of an application, checked.

    ResponseError says what is wrong with them.
    """

    __slots__ = ('status', 'code', 'lines', 'length', 'has_date',
                 'has_server')

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        if type(status) is not str or not is_status(status):
            raise ResponseError(f'the status must be a string such as'
                                f' "200 OK", not {shown(status)}')
        self.status = status
        self.code = int(status[:3])
        self.length: int | None = None
        self.has_date = self.has_server = False
        self.lines: list[str] = []
        try:
            for name, value in headers:
                self._add(name, value)
        except (TypeError, ValueError, AttributeError):
            raise ResponseError(f'the headers must be a list of pairs of'
                                f' strings, not {shown(headers)}') from None

    def _add(self, name: str, value: str) -> None:
        try:
            kind = kinds[name]
        except KeyError:
            kind = kind_of(name)
        if not (value.isascii() and value.isprintable() or is_value(value)):
            raise ResponseError(
                f'the value of the header {name} has characters that are not'
                f' allowed: {shown(value)}')
        if kind:
            if kind == LENGTH:
                self._set_length(value)
                return
            if kind == DATE:
                self.has_date = True
            else:
                self.has_server = True
        self.lines.append(f'{name}: {value}\r\n')

    def _set_length(self, value: str) -> None:
        value = value.strip(' ')
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            raise ResponseError(
                f'the Content-Length must be a number, not {shown(value)}')
        if self.length not in (None, int(value)):
            raise ResponseError('there are two lengths: Content-Length'
                                f' {self.length} and {int(value)}')
        self.length = int(value)

    @property
    def has_body(self) -> bool:
        """Whether a response with this status has a body at all."""
        return self.code not in (204, 304)


def kind_of(name: str) -> int:
    """What kind of header this is; ResponseError if it must not be there."""
    if type(name) is not str or not is_name(name):
        raise ResponseError(
            f'the name of a header is not allowed: {shown(name)}')
    lower = name.lower()
    if lower in HOP_BY_HOP:
        raise ResponseError(f'the header {name} is for the server to set')
    kind = KINDS.get(lower, PLAIN)
    if len(kinds) < KINDS_KEPT:
        kinds[name] = kind
    return kind
