"""Addresses: ``HOST:PORT`` text, and what an empty host stands for."""
import socket
from collections.abc import Iterable

#: Hosts that mean every interface, with the family that they mean.
WILDCARDS = {
    '': socket.AF_INET,
    '0.0.0.0': socket.AF_INET,
    '::': socket.AF_INET6,
}


def parse_addr(addr: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; the host of ``[::1]:80`` is ``::1``.

    The host may be empty. Raises ValueError for anything else.
    """
    host, colon, port = addr.rpartition(':')
    if host[:1] == '[' and host[-1:] == ']':
        host = host[1:-1]
    elif ':' in host:
        raise ValueError(f'{addr!r}: write an IPv6 address in brackets, '
                         'as in [::1]:8080')
    if not (colon and port.isascii() and port.isdigit()
            and int(port) < 65536):
        raise ValueError(f'{addr!r} is not an address, HOST:PORT with a '
                         'port from 0 to 65535')
    return host, int(port)


def format_addr(host: str, port: int | str) -> str:
    """``HOST:PORT``, or ``[HOST]:PORT`` for an IPv6 address."""
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def interface_addresses(family: int = socket.AF_INET) -> list[str]:
    """This machine's addresses, or its loopback ones if it has no others.

    Link-local IPv6 addresses are left out: they mean nothing elsewhere.
    """
    import psutil  # as costly as much of the rest, and rarely needed
    found = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == family and address.address
        and not address.address.startswith('fe80:')
    }
    local = {host for host in found
             if host.startswith('127.') or host == '::1'}
    return sorted(found - local or local)


def node_names(addr: str | Iterable[object]) -> tuple[str, ...]:
    """The names of the nodes that register an address.

    ``addr`` is a host and port, or text that is taken as it is. Several
    names come of a host that means every interface.
    """
    name = address_name(addr)
    if not name or '/' in name or name in ('.', '..'):
        raise ValueError(f'{name!r} cannot be the name of a node')
    for host, family in WILDCARDS.items():
        prefix = format_addr(host, '')
        if name.startswith(prefix):
            port = name[len(prefix):]
            hosts = interface_addresses(family)
            if not hosts:
                raise ValueError(f'{name!r}: this machine has no address of '
                                 'that family')
            return tuple(format_addr(host, port) for host in hosts)
    return (name,)


def address_name(addr: str | Iterable[object]) -> str:
    """An address as text: a host and port, or text that is taken as it is."""
    if isinstance(addr, str):
        return addr
    # getsockname() returns four values for IPv6, of which two are ours.
    host, port = tuple(addr)[:2]
    return format_addr(str(host), str(port))
