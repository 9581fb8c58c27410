"""Addresses: a TCP host and port, or the path of a unix socket."""
import os
import re
from collections.abc import Sequence
from typing import TypeAlias

#: What `parse_address` accepts.
AnyAddress: TypeAlias = (
    int | str | os.PathLike[str] | tuple[str, int] | Sequence[str | int])
#: What it returns: ``(host, port)``, or the path of a unix socket.
Address: TypeAlias = tuple[str, int] | str

_HOST_AND_PORT = re.compile(r'(?P<host>\[[^][/]*\]|[^][/:]*):(?P<port>[0-9]+)')
_ALLOWED = ("an address is a port, a (host, port) pair, 'HOST:PORT', "
            "'[IPV6]:PORT' or the path of a unix socket")


def parse_address(address: AnyAddress) -> Address:
    """Return ``(host, port)``, or the path of a unix socket, as text.

    Text is a TCP address if it has the form ``HOST:PORT`` without a slash;
    ``:PORT`` means every interface. Other text is a path. Raise ValueError
    for anything else.
    """
    if isinstance(address, os.PathLike):
        return _path(os.fspath(address), address)
    if isinstance(address, str):
        match = _HOST_AND_PORT.fullmatch(address)
        if match is None:
            return _path(address, address)
        return _pair(match['host'], int(match['port']), address)
    if isinstance(address, int):
        return _pair('', address, address)
    if isinstance(address, Sequence) and len(address) == 2:
        return _pair(address[0], address[1], address)
    raise ValueError(f'{address!r}: {_ALLOWED}')


def format_address(address: Address) -> str:
    """Return an address as text that `parse_address` can read."""
    if isinstance(address, str):
        return address
    host, port = address
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def _pair(host: object, port: object, given: object) -> tuple[str, int]:
    if not isinstance(host, str):
        raise ValueError(f'{given!r}: {_ALLOWED}')
    if isinstance(port, bool) or not isinstance(port, int):
        raise ValueError(f'{given!r}: the port must be a number')
    if not 0 <= port <= 65535:
        raise ValueError(f'{given!r}: a port is from 0 to 65535')
    return host.removeprefix('[').removesuffix(']'), port


def _path(path: object, given: object) -> str:
    if not isinstance(path, str) or not path or '\0' in path:
        raise ValueError(f'{given!r}: {_ALLOWED}')
    return path
