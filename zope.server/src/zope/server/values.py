"""Parsers of settings: each takes text and returns the value it stands for.

A parser raises `InvalidValue`, which says what is allowed.  It allows nothing
that is only nearly right: ``maybe`` is no boolean and ``5 m`` no number of
seconds.
"""
from __future__ import annotations

import re
import socket
from collections.abc import Callable
from collections.abc import Iterable

# All IPv4 addresses.
WILDCARDS = '', '0.0.0.0'


class InvalidValue(ValueError):
    """A parser's refusal.

    `allowed` says what the parser takes.  `part` is the wrong part of the
    text; None stands for all of it.
    """

    def __init__(self, allowed: str, part: str | None = None) -> None:
        self.allowed = allowed
        self.part = part
        super().__init__(allowed)


def text(value: str) -> str:
    """Return text that is not empty, without the space around it."""
    value = value.strip()
    if not value:
        raise InvalidValue('some text')
    return value


def line(value: str) -> str:
    """Return one line of printable text."""
    value = text(value)
    if not value.isprintable():
        raise InvalidValue('one line of printable text')
    return value


def token(value: str) -> str:
    """Return text for a header field: visible ASCII and spaces."""
    value = text(value)
    if not (value.isascii() and value.isprintable()):
        raise InvalidValue('one line of printable ASCII text')
    return value


def optional_token(value: str) -> str:
    """Return text for a header field, as `token` does, or nothing."""
    return token(value) if value.strip() else ''


def parse_host(value: str) -> str:
    """Return a host name or an IP address, an IPv6 one without brackets.

    The text may be empty.
    """
    value = value.strip()
    if value.startswith('[') and value.endswith(']'):
        value = value[1:-1]
        if not is_ipv6(value):
            raise InvalidValue('an IPv6 address between the brackets')
    if not value or is_ipv6(value):
        return value
    if not re.fullmatch(r'[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?', value):
        raise InvalidValue('a host name or an IP address, without a port')
    return value


def is_ipv6(value: str) -> bool:
    """Whether the text is an IPv6 address, a zone (``%eth0``) allowed."""
    try:
        socket.inet_pton(socket.AF_INET6, value.partition('%')[0])
    except (OSError, ValueError):
        return False
    return True


def format_address(address: tuple[str, int]) -> str:
    """Return (host, port) as ``HOST:PORT``, an IPv6 host in brackets."""
    host, port = address[:2]
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def server_name(host: str) -> str:
    """Return what a server that listens on `host` is called in URLs.

    That is the name of the machine where it listens on all addresses.  An
    IPv6 address is in brackets (RFC 3875, 4.1.14), without its zone, which
    means nothing to another machine.
    """
    if host in WILDCARDS:
        return socket.gethostname()
    if not is_ipv6(host):
        return host
    address = host.partition('%')[0]
    if not any(socket.inet_pton(socket.AF_INET6, address)):
        return socket.gethostname()
    return f'[{address}]'


def number(low: int, high: int, what: str = 'a whole number'
           ) -> Callable[[str], int]:
    """Return a parser of whole numbers from `low` to `high`.

    `what` is what they are called when one is wrong.
    """
    def parse(value: str) -> int:
        value = value.strip()
        if not (re.fullmatch('[0-9]{1,18}', value)
                and low <= int(value) <= high):
            raise InvalidValue(f'{what} from {low} to {high}')
        return int(value)
    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of seconds, with or without a decimal point."""
    def parse(value: str) -> float:
        value = value.strip()
        if not (re.fullmatch(r'[0-9]{1,9}(\.[0-9]{1,18})?', value)
                and low <= float(value) <= high):
            raise InvalidValue(f'seconds from {low:g} to {high:g}')
        return float(value)
    return parse


# The shortest one: with less, threads would do little but take turns.
LEAST_SWITCH_S = 0.0001


def switch_interval(value: str) -> float:
    """Return the seconds between two turns of threads; 0 for Python's own."""
    try:
        found = seconds(0, 1)(value)
    except InvalidValue:
        found = -1.0
    if found and found < LEAST_SWITCH_S:
        raise InvalidValue(f'seconds from {LEAST_SWITCH_S} to 1, or 0')
    return found


SIZE_UNITS = {'': 1, 'B': 1, 'K': 2 ** 10, 'M': 2 ** 20, 'G': 2 ** 30,
              'T': 2 ** 40}


def size(value: str) -> int:
    """Return bytes, from ``65536``, ``64 KiB``, ``64K`` or ``1 GiB``.

    The units are powers of 1024.
    """
    match = re.fullmatch(r'([0-9]{1,15})\s*([KMGT]?)(?:i?B)?', value.strip(),
                         re.IGNORECASE)
    if not match or not int(match[1]):
        raise InvalidValue('a size of at least one byte, such as 65536,'
                           ' 64 KiB or 1 GiB')
    return int(match[1]) * SIZE_UNITS[match[2].upper()]


def format_size(count: int) -> str:
    """Return bytes in the largest unit that they are a multiple of."""
    for letter in 'TGMK':
        if count and count % SIZE_UNITS[letter] == 0:
            return f'{count // SIZE_UNITS[letter]} {letter}iB'
    return str(count)


BOOLEANS = {'true': True, 'yes': True, 'on': True, '1': True,
            'false': False, 'no': False, 'off': False, '0': False}


def boolean(value: str) -> bool:
    """Return true or false; yes, no, on, off, 1 and 0 mean the same."""
    try:
        return BOOLEANS[value.strip().lower()]
    except KeyError:
        raise InvalidValue('true or false') from None


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser of one of these words."""
    def parse(value: str) -> str:
        value = value.strip()
        if value not in words:
            raise InvalidValue(', '.join(words[:-1]) + ' or ' + words[-1])
        return value
    return parse


def networks(value: str) -> str:
    """Return IP addresses and networks, separated by commas, or nothing."""
    value = value.strip()
    if not value:
        return value
    # Imported here: most sections have none, and ipaddress takes longer than
    # the rest of the settings.
    from zope.server.networks import parse_network
    for part in value.split(','):
        try:
            parse_network(part)
        except ValueError:
            raise InvalidValue(
                'an IP address or a network without bits of a host, such as'
                ' 127.0.0.1 or 10.0.0.0/8 (0.0.0.0/0 is any IPv4 address)',
                part.strip()) from None
    return value


def prefix(value: str) -> str:
    """Return a URL path for SCRIPT_NAME, without a slash at its end.

    It is given without escapes; the text may be empty.
    """
    value = value.strip().rstrip('/')
    if value and not re.fullmatch(
            r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+", value):
        raise InvalidValue('a URL path such as /app, without escapes')
    return value


PROXY_HEADERS = ('x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host',
                 'x-forwarded-port', 'x-forwarded-by', 'forwarded')


def proxy_headers(value: str) -> str:
    """Return names of fields that proxies set, in lower case, or nothing.

    ``forwarded`` says what the others say, so it stands alone.
    """
    names = [name.strip().lower() for name in value.split(',')]
    if names == ['']:
        return ''
    for name in names:
        if name not in PROXY_HEADERS:
            raise InvalidValue('one of ' + ', '.join(PROXY_HEADERS), name)
    if 'forwarded' in names and len(names) > 1:
        raise InvalidValue('forwarded alone, or names without it')
    return ', '.join(names)


# What messages say.

def unknown_option(name: str, names: Iterable[str]) -> str:
    """Return the problem of an option that is not among `names`."""
    import difflib
    names = sorted(names)
    near = difflib.get_close_matches(name, names, 1)
    hint = (f'did you mean {near[0]!r}?' if near
            else 'known are ' + ', '.join(names))
    return f'unknown option {name!r} ({hint})'


def invalid_option(name: str, value: str, error: InvalidValue) -> str:
    """Return the problem of an option with a value that is not allowed."""
    wrong = value if error.part is None else error.part
    return f'option {name!r}: {shorten(wrong)} is not {error.allowed}'


def shorten(value: object, limit: int = 60) -> str:
    """Return a value as messages quote it, cut to about `limit` characters."""
    quoted = repr(value)
    return quoted if len(quoted) <= limit else quoted[:limit - 3] + "...'"
