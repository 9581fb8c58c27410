"""Parsers of the options that zope.server does not have.

Each takes text and returns the value it stands for, or raises InvalidValue,
as those of `zope.server.values` do.
"""
from __future__ import annotations

import ast
import re
from typing import Any
from typing import NamedTuple

from zope.server.values import InvalidValue
from zope.server.values import is_ipv6
from zope.server.values import parse_host

from zc.zkzopeserver.addresses import split_address


def connection(value: str) -> str:
    """Return a ZooKeeper connection string, with an optional chroot."""
    value = re.sub(r'\s*,\s*', ',', value.strip())
    allowed = 'HOST:PORT[,HOST:PORT...][/CHROOT]'
    servers, slash, chroot = value.partition('/')
    try:
        for server in servers.split(','):
            name, port_number = split_address(server)
            if not name or not port_number:
                raise InvalidValue(allowed)
        if slash:
            znode('/' + chroot)
    except InvalidValue:
        raise InvalidValue(allowed) from None
    return value


def znode(value: str) -> str:
    """Return an absolute ZooKeeper path, in which ``.`` and ``..`` stay."""
    value = value.strip()
    if (not value.startswith('/') or '//' in value
            or value != '/' and value.endswith('/')
            or not value.isprintable()):
        raise InvalidValue('an absolute path such as /fooservice/providers')
    return value


def monitor_address(value: str) -> tuple[str, int] | str:
    """Return (host, port), or the path of a unix socket.

    The host of ``HOST:PORT`` may be empty.
    """
    value = value.strip()
    if '/' in value:
        if not value.isprintable():
            raise InvalidValue('HOST:PORT or the path of a unix socket')
        return value
    try:
        return split_address(value)
    except InvalidValue:
        raise InvalidValue('HOST:PORT or the path of a unix socket') from None


def listening_address(value: str) -> tuple[str, int]:
    """Return (host, port) of ``HOST:PORT``; the host may be empty."""
    return split_address(value)


def advertised(value: str) -> str:
    """Return ``HOST``, ``HOST:PORT``, ``interface:NAME`` or ``route``."""
    value = value.strip()
    allowed = 'HOST, HOST:PORT, interface:NAME or route'
    kind, colon, name = value.partition(':')
    if kind == 'interface' and colon:
        if not re.fullmatch(r'[^\s/]{1,15}', name):
            raise InvalidValue(allowed)
        return value
    try:
        if is_ipv6(value) or not colon or value.endswith(']'):
            if parse_host(value):
                return value
        else:
            name, port_number = split_address(value)
            if name and port_number:
                return value
    except InvalidValue:
        pass
    raise InvalidValue(allowed)


RESERVED = 'monitor', 'pid'


def properties(value: str) -> dict[str, Any]:
    """Return a dict from ``name = literal`` lines.

    The names of the properties that the server itself sets are refused.
    """
    result: dict[str, Any] = {}
    for entry in value.splitlines():
        entry = entry.strip()
        if not entry or entry.startswith('#'):
            continue
        name, equals, literal = entry.partition('=')
        name = name.strip()
        if not equals or not name:
            raise InvalidValue('a line `name = literal`', entry)
        if name in RESERVED:
            raise InvalidValue('a free name: the server itself sets '
                      + ' and '.join(RESERVED), name)
        if name in result:
            raise InvalidValue(f'the only line for {name!r}', entry)
        result[name] = _literal(literal.strip(), entry)
    return result


def _literal(literal: str, entry: str) -> Any:
    try:
        result = ast.literal_eval(literal)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise InvalidValue('a name, `=` and a Python literal', entry) from None
    if not _is_json(result):
        raise InvalidValue('a value that JSON can hold', entry)
    return result


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item)
                   for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, float):
        # RFC 8259, section 6: JSON has neither NaN nor infinity.
        return value == value and abs(value) != float('inf')
    return value is None or isinstance(value, (str, int))


def url_path(value: str) -> str:
    """Return a path to ask the server for, such as ``/ready?deep=1``."""
    value = value.strip()
    if not re.fullmatch(r'/[!-~]*', value):
        raise InvalidValue('a path such as /ready')
    return value


def probed_host(value: str) -> str:
    """Return a value of the field Host (RFC 9110, section 7.2)."""
    value = value.strip()
    if not re.fullmatch(r'(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?', value,
                        re.ASCII):
        raise InvalidValue('HOST or HOST:PORT, such as www.example.com')
    return value


def hooks(value: str) -> tuple[str, ...]:
    """Return names of functions, MODULE:FUNCTION, and of entry points."""
    names = tuple(value.replace(',', ' ').split())
    if not names or not all(
            re.fullmatch(r'[\w.-]+(:[^\W\d][\w.]*)?', name) for name in names):
        raise InvalidValue('MODULE:FUNCTION, or the name of a group of entry'
                           ' points; several are separated by spaces')
    return names


def file_names(value: str) -> tuple[str, ...]:
    """Return names of files, which are separated by commas or lines."""
    names = tuple(name.strip() for name in re.split('[,\n]', value)
                  if name.strip())
    if not names or not all(name.isprintable() for name in names):
        raise InvalidValue('names of files, separated by commas')
    return names


LEVELS = 'CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'


class Keep(NamedTuple):
    """How many others have to be left: a number, or a percentage of all."""

    number: int
    is_percentage: bool = False

    def __str__(self) -> str:
        return f'{self.number}{"%" * self.is_percentage}'

    def of(self, total: int) -> int:
        """Return the number, rounded up, where there are `total` in all."""
        if self.is_percentage:
            return -(-self.number * total // 100)
        return self.number


def keep(value: str) -> Keep:
    """Return how many are kept: ``2``, or ``50%`` of all."""
    match = re.fullmatch(r'(\d{1,6}) *(%?)', value.strip(), re.ASCII)
    if not match or match[2] and int(match[1]) > 100:
        raise InvalidValue('a number, or a percentage such as 50%')
    return Keep(int(match[1]), bool(match[2]))


def loggers(value: str) -> str:
    """Return a level's name, or ZConfig text with ``<logger>`` sections."""
    value = value.strip()
    if value.upper() in LEVELS or re.fullmatch('[0-9]{1,3}', value):
        return value.upper()
    if '<' in value:
        return value
    raise InvalidValue('a level (' + ', '.join(LEVELS) + ' or a number) or'
                       ' ZConfig text with <logger> sections')
