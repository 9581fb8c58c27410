"""Status and header fields of a response: what is allowed, as text.

The rules are those of PEP 3333, and of RFC 9110, 5.5 and 5.6.2.
"""
from __future__ import annotations

import logging
import re
import time
from typing import Any
from typing import Final

from zope.server.errors import ResponseError

logger = logging.getLogger('zope.server.requests')

# Kinds of headers; those of DATE and SERVER can be combined with ``|``.
PLAIN: Final = 0
DATE: Final = 1
SERVER: Final = 2
LENGTH: Final = 4
DROPPED: Final = 8
# PEP 3333 forbids the hop-by-hop headers to applications.  Those that only
# wish something of the connection, which is the server's, are dropped.
KINDS = {'content-length': LENGTH, 'date': DATE, 'server': SERVER,
         'connection': DROPPED, 'keep-alive': DROPPED,
         'proxy-connection': DROPPED, 'trailer': DROPPED,
         'trailers': DROPPED}
# With these the body, or the protocol, would not be what the server sends.
REFUSED = frozenset((
    'proxy-authenticate', 'proxy-authorization', 'te', 'transfer-encoding',
    'upgrade'))
# The longest text that a cache keeps: a thousand texts as long as a header may
# be would take 64 MB for good.
CACHED_CHARACTERS = 200
# Statuses and names of headers that have passed the checks.
CACHE_SIZE = 1000
statuses: dict[str, tuple[int, str]] = {}
kinds: dict[str, int] = {}
# The dropped headers that the log has named, in lower case.
reported: set[str] = set()

is_status = re.compile(r'[2-9][0-9][0-9](?: [\t -~\x80-\xff]*)?').fullmatch
is_name = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
is_value = re.compile(r'[\t -~\x80-\xff]*').fullmatch

DAYS = 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'
MONTHS = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep',
          'Oct', 'Nov', 'Dec')


def http_date(seconds: float) -> str:
    """Return a time as HTTP writes it (RFC 9110, 5.6.7).

    `seconds` are as of time.time(); the locale has no influence.
    """
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    return (f'{DAYS[weekday]}, {day:02} {MONTHS[month - 1]} {year}'
            f' {hour:02}:{minute:02}:{second:02} GMT')


def short_repr(value: Any) -> str:
    """Return a value as messages quote it, in at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def check_status(status: Any) -> tuple[int, str]:
    """Return (code, line) of a status, the line with its CR LF.

    Raise ResponseError when it is not a string such as ``200 OK``.
    """
    if type(status) is not str or not is_status(status):
        raise ResponseError('the status must be a string such as "200 OK",'
                            f' not {short_repr(status)}')
    # The space before the reason is required even if there is no reason
    # (RFC 9112, 4).
    checked = int(status[:3]), f'{status}\r\n' if ' ' in status else (
        f'{status} \r\n')
    if len(statuses) < CACHE_SIZE and len(status) <= CACHED_CHARACTERS:
        statuses[status] = checked
    return checked


def check_headers(headers: Any) -> tuple[int | None, int, str]:
    """Return (length, kinds, lines) of an application's headers.

    The length is that of the Content-Length, None without it; the kinds are
    DATE and SERVER, combined, or 0; the lines are those of all other headers.
    Raise ResponseError when there is something that HTTP does not allow.
    """
    length: int | None = None
    special, lines = 0, ''
    try:
        for name, value in headers:
            kind = kinds[name] if name in kinds else kind_of(name)
            if kind == LENGTH:
                length = length_of(value, length)
                continue
            if not (value.isascii() and value.isprintable()
                    or is_value(value)):
                raise ResponseError(
                    f'the value of the header {name} has characters that are'
                    f' not allowed: {short_repr(value)}')
            if kind:
                if kind == DROPPED:
                    continue
                special |= kind
            lines += f'{name}: {value}\r\n'
    except (TypeError, ValueError, AttributeError):
        raise ResponseError('the headers must be a list of pairs of strings,'
                            f' not {short_repr(headers)}') from None
    return length, special, lines


def length_of(value: str, before: int | None) -> int:
    """Return a Content-Length as a number.

    Raise ResponseError when it is none, or differs from `before`, that of an
    earlier header (None if there is none).
    """
    if not (value.isdigit() and value.isascii() and len(value) < 20):
        raise ResponseError(
            f'the Content-Length must be a number, not {short_repr(value)}')
    length = int(value)
    if before is not None and before != length:
        raise ResponseError(
            f'there are two lengths: Content-Length {before} and {length}')
    return length


def kind_of(name: Any) -> int:
    """Return the kind of a header.

    Raise ResponseError for a name that an application must not use.
    """
    if type(name) is not str or not is_name(name):
        raise ResponseError(
            f'the name of a header is not allowed: {short_repr(name)}')
    lower = name.lower()
    if lower in REFUSED:
        raise ResponseError(f'the header {name} is for the server to set')
    kind = KINDS.get(lower, PLAIN)
    if kind == DROPPED and lower not in reported:
        reported.add(lower)
        logger.warning('the header %s of the application is dropped, as it is'
                       ' for the server to set', name)
    if len(kinds) < CACHE_SIZE and len(name) <= CACHED_CHARACTERS:
        kinds[name] = kind
    return kind
