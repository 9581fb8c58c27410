"""The values that options can have: text in, value out.

Each function takes a string and returns what it means, or refuses it with
`Bad`, which says what is allowed.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from zc.zkzopeserver import addresses


class Bad(ValueError):
    """A parser's refusal: what is allowed, and what was found instead.

    `found` is the part that is wrong, when it is not the whole value.
    """

    def __init__(self, allowed: str, found: str | None = None) -> None:
        self.allowed = allowed
        self.found = found
        super().__init__(allowed)


def text(value: str) -> str:
    """Any text that is not empty."""
    value = value.strip()
    if not value:
        raise Bad('some text')
    return value


def line(value: str) -> str:
    """One line of printable text."""
    value = text(value)
    if not value.isprintable():
        raise Bad('one line of printable text')
    return value


def token(value: str) -> str:
    """Text for a header field: visible ASCII and spaces."""
    value = text(value)
    if not (value.isascii() and value.isprintable()):
        raise Bad('one line of printable ASCII text')
    return value


def host(value: str) -> str:
    """A host name or an IP address; brackets around IPv6 are dropped."""
    try:
        return addresses.parse_host(value)
    except ValueError as error:
        raise Bad(str(error)) from None


def number(low: int, high: int) -> Callable[[str], int]:
    """Whole numbers from `low` to `high`."""
    def parse(value: str) -> int:
        value = value.strip()
        if not (re.fullmatch('[0-9]{1,18}', value)
                and low <= int(value) <= high):
            raise Bad(f'a whole number from {low} to {high}')
        return int(value)
    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds, with a decimal point if wanted."""
    def parse(value: str) -> float:
        value = value.strip()
        if not (re.fullmatch(r'[0-9]{1,9}(\.[0-9]{1,9})?', value)
                and low <= float(value) <= high):
            raise Bad(f'seconds from {low:g} to {high:g}')
        return float(value)
    return parse


SIZE_UNITS = {'': 1, 'B': 1, 'K': 2 ** 10, 'M': 2 ** 20, 'G': 2 ** 30,
              'T': 2 ** 40}


def size(value: str) -> int:
    """Bytes, as ``65536``, ``64 KiB``, ``64K`` or ``1 GiB``: powers of two."""
    match = re.fullmatch(r'([0-9]{1,15})\s*([KMGT]?)(?:i?B)?', value.strip(),
                         re.IGNORECASE)
    if not match or not int(match[1]):
        raise Bad('a size of at least one byte, such as 65536, 64 KiB or'
                  ' 1 GiB')
    return int(match[1]) * SIZE_UNITS[match[2].upper()]


BOOLEANS = {'true': True, 'yes': True, 'on': True, '1': True,
            'false': False, 'no': False, 'off': False, '0': False}


def boolean(value: str) -> bool:
    """true or false; yes, no, on, off, 1 and 0 are the same."""
    try:
        return BOOLEANS[value.strip().lower()]
    except KeyError:
        raise Bad('true or false') from None


def choice(*words: str) -> Callable[[str], str]:
    """One of the words."""
    def parse(value: str) -> str:
        value = value.strip()
        if value not in words:
            raise Bad(', '.join(words[:-1]) + ' or ' + words[-1])
        return value
    return parse


def address(value: str) -> tuple[str, int]:
    """``HOST:PORT`` -> (host, port); an IPv6 host stands in brackets."""
    try:
        return addresses.split_address(value)
    except ValueError as error:
        raise Bad(str(error)) from None


def connection(value: str) -> str:
    """A ZooKeeper connection string, with an optional chroot."""
    value = re.sub(r'\s*,\s*', ',', value.strip())
    allowed = 'HOST:PORT[,HOST:PORT...][/CHROOT]'
    servers, slash, chroot = value.partition('/')
    try:
        for server in servers.split(','):
            name, port_number = address(server)
            if not name or not port_number:
                raise Bad(allowed)
        if slash:
            znode('/' + chroot)
    except Bad:
        raise Bad(allowed) from None
    return value


def znode(value: str) -> str:
    """An absolute ZooKeeper path (``.`` and ``..`` are resolved later)."""
    value = value.strip()
    if (not value.startswith('/') or '//' in value
            or value != '/' and value.endswith('/')
            or not value.isprintable()):
        raise Bad('an absolute path such as /fooservice/providers')
    return value


def monitor_address(value: str) -> tuple[str, int] | str:
    """``HOST:PORT`` (the host may be empty) or a unix socket's path."""
    value = value.strip()
    if '/' in value:
        if not value.isprintable():
            raise Bad('HOST:PORT or the path of a unix socket')
        return value
    try:
        return address(value)
    except Bad:
        raise Bad('HOST:PORT or the path of a unix socket') from None


def advertised(value: str) -> str:
    """``HOST``, ``HOST:PORT``, ``interface:NAME`` or ``route``."""
    value = value.strip()
    allowed = 'HOST, HOST:PORT, interface:NAME or route'
    kind, colon, name = value.partition(':')
    if kind == 'interface' and colon:
        if not re.fullmatch(r'[^\s/]{1,15}', name):
            raise Bad(allowed)
        return value
    try:
        if addresses.is_ipv6(value) or not colon or value.endswith(']'):
            if host(value):
                return value
        else:
            name, port_number = address(value)
            if name and port_number:
                return value
    except Bad:
        pass
    raise Bad(allowed)


RESERVED = 'monitor', 'pid'


def properties(value: str) -> dict[str, Any]:
    """``name = literal`` lines; the names of our own data are refused."""
    result: dict[str, Any] = {}
    for entry in value.splitlines():
        entry = entry.strip()
        if not entry or entry.startswith('#'):
            continue
        name, equals, literal = entry.partition('=')
        name = name.strip()
        if not equals or not name:
            raise Bad('a line `name = literal`', entry)
        if name in RESERVED:
            raise Bad('a free name: the server itself sets '
                      + ' and '.join(RESERVED), name)
        if name in result:
            raise Bad(f'the only line for {name!r}', entry)
        result[name] = _literal(literal.strip(), entry)
    return result


def _literal(literal: str, entry: str) -> Any:
    try:
        found = ast.literal_eval(literal)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise Bad('a name, `=` and a Python literal', entry) from None
    if not _is_json(found):
        raise Bad('a value that JSON can hold', entry)
    return found


def _is_json(found: object) -> bool:
    if isinstance(found, dict):
        return all(isinstance(key, str) and _is_json(item)
                   for key, item in found.items())
    if isinstance(found, (list, tuple)):
        return all(map(_is_json, found))
    if isinstance(found, float):
        return found == found and abs(found) != float('inf')
    return found is None or isinstance(found, (str, int))


def url_path(value: str) -> str:
    """A path to ask the server for: ``/ready?deep=1``."""
    value = value.strip()
    if not re.fullmatch(r'/[!-~]*', value):
        raise Bad('a path such as /ready')
    return value


LEVELS = 'CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'


def loggers(value: str) -> str:
    """A level's name, or ZConfig text with ``<logger>`` sections."""
    value = value.strip()
    if value.upper() in LEVELS or re.fullmatch('[0-9]{1,3}', value):
        return value.upper()
    if '<' in value:
        return value
    raise Bad('a level (' + ', '.join(LEVELS) + ' or a number) or ZConfig'
              ' text with <logger> sections')
