"""Status and header fields of a response: what is allowed, as text."""
from __future__ import annotations

import re
import time
from typing import Any

from zope.server.errors import ResponseError

# What a header is; the values of DATE and SERVER can be added up.
PLAIN, DATE, SERVER, LENGTH = 0, 1, 2, 4
KINDS = {'content-length': LENGTH, 'date': DATE, 'server': SERVER}
# PEP 3333 keeps these for the server.
HOP_BY_HOP = frozenset((
    'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization',
    'te', 'trailer', 'trailers', 'transfer-encoding', 'upgrade',
    'proxy-connection'))
KEPT = 1000
# Statuses and names of headers that were found to be right.
statuses: dict[str, tuple[int, str]] = {}
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
    """A value of the application's, or of a client's, as messages have it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def check_status(status: str) -> tuple[int, str]:
    """A status -> (code, line), or ResponseError."""
    if type(status) is not str or not is_status(status):
        raise ResponseError('the status must be a string such as "200 OK",'
                            f' not {shown(status)}')
    # A line has the second space even if there is no reason.
    found = int(status[:3]), f'{status}\r\n' if ' ' in status else (
        f'{status} \r\n')
    if len(statuses) < KEPT:
        statuses[status] = found
    return found


def check_headers(headers: list[tuple[str, str]]) -> tuple[
        int | None, int, str]:
    """Headers -> (Content-Length, DATE and SERVER, lines), or ResponseError.

    The lines are without the Content-Length.
    """
    length: int | None = None
    special, lines = 0, ''
    try:
        for name, value in headers:
            kind = kinds[name] if name in kinds else kind_of(name)
            if not (value.isascii() and value.isprintable()
                    or is_value(value)):
                raise ResponseError(
                    f'the value of the header {name} has characters that are'
                    f' not allowed: {shown(value)}')
            if kind:
                if kind == LENGTH:
                    length = length_of(value, length)
                    continue
                special |= kind
            lines += f'{name}: {value}\r\n'
    except (TypeError, ValueError, AttributeError):
        raise ResponseError('the headers must be a list of pairs of strings,'
                            f' not {shown(headers)}') from None
    return length, special, lines


def length_of(value: str, before: int | None) -> int:
    """A Content-Length, `before` the one that was there before."""
    if not (value.isdigit() and value.isascii() and len(value) < 20):
        raise ResponseError(
            f'the Content-Length must be a number, not {shown(value)}')
    length = int(value)
    if before is not None and before != length:
        raise ResponseError(
            f'there are two lengths: Content-Length {before} and {length}')
    return length


def kind_of(name: str) -> int:
    """What kind of header this is; ResponseError if it must not be there."""
    if type(name) is not str or not is_name(name):
        raise ResponseError(
            f'the name of a header is not allowed: {shown(name)}')
    lower = name.lower()
    if lower in HOP_BY_HOP:
        raise ResponseError(f'the header {name} is for the server to set')
    kind = KINDS.get(lower, PLAIN)
    if len(kinds) < KEPT:
        kinds[name] = kind
    return kind
