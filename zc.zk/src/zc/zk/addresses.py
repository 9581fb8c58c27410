"""Addresses: ``HOST:PORT`` text, and the addresses of an empty host."""
import socket
from collections.abc import Iterable

#: Hosts that stand for every interface, and their address family.
WILDCARDS = {
    '': socket.AF_INET,
    '0.0.0.0': socket.AF_INET,
    '::': socket.AF_INET6,
}


def parse_addr(addr: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; the host may be empty.

    An IPv6 address is written in brackets, which are not part of the host
    (RFC 3986, section 3.2.2). Raises ValueError for any other text.
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
    """Return ``HOST:PORT``, or ``[HOST]:PORT`` for an IPv6 address."""
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def interface_addresses(family: int = socket.AF_INET) -> list[str]:
    """Return this machine's addresses of a family, sorted.

    Loopback addresses are returned only if there are no others. Link-local
    IPv6 addresses are left out: another machine cannot use them.
    """
    import psutil  # 1 MB of memory, which only an empty host needs
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
    """Return the names of the nodes that register an address.

    `addr` is a sequence that begins with host and port, or text that is used
    as it is. A host that stands for every interface gives a name for each
    address of the machine. Raises ValueError for what cannot be the name of
    a node, and where the machine has no address.
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
    """Return an address as text; see `node_names` for `addr`."""
    if isinstance(addr, str):
        return addr
    # socket.getsockname() returns four values for IPv6.
    host, port = tuple(addr)[:2]
    return format_addr(str(host), str(port))
