"""Addresses: ``HOST:PORT`` text, and the addresses of an empty host."""
import re
import socket
from collections.abc import Iterable

from zc.zk.printable import printable

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


#: The longest host name, in characters (RFC 1035, section 2.3.4).
MAX_HOST_NAME = 253
# What IPv4 addresses begin with as IPv6 addresses (RFC 4291, 2.5.5.2).
MAPPED = bytes(10) + b'\xff\xff'

_LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
_is_host_name = re.compile(rf'{_LABEL}(?:\.{_LABEL})*').fullmatch
# A name whose last label is a number is an IPv4 address, or nothing (URL
# standard, "ends in a number checker"): resolvers read 0x7f.1 as 127.0.0.1.
_is_number = re.compile('[0-9]+|0[xX][0-9A-Fa-f]*').fullmatch
_is_port = re.compile('[1-9][0-9]{0,4}').fullmatch
_is_ipv6_text = re.compile('[0-9A-Fa-f:.]+').fullmatch


def parse_server_addr(text: str) -> tuple[str, int]:
    """Return host and port of a server's address, as a client can use it.

    Names of nodes come from outside: whoever may write into the tree chooses
    them. So this is stricter than `parse_addr`, which reads what our own
    options say. What it returns can be written into the configuration of a
    proxy and handed to a resolver:

    - The host is an IPv4 address of four decimal numbers, an IPv6 address in
      brackets without a zone, or a host name of letters, digits, ``-`` and
      ``.`` (RFC 1123, section 2.1). An IP address is returned in its
      canonical form (RFC 5952).
    - The port is from 1 to 65535, without a leading zero.

    Raises ValueError for any other text, and for addresses to which nobody
    can connect: unspecified ones (0.0.0.0, ::) and multicast, also as
    IPv4-mapped addresses (::ffff:0.0.0.0).
    """
    host, _, port = text.rpartition(':')
    shown = f"'{printable(text, 80)}'"
    if not _is_port(port) or int(port) > 65535:
        raise ValueError(f'{shown} is not the address of a server, '
                         'HOST:PORT with a port from 1 to 65535')
    if host[:1] == '[' and host[-1:] == ']':
        packed = _ip_address(socket.AF_INET6, host[1:-1])
        canonical = packed and socket.inet_ntop(socket.AF_INET6, packed)
    else:
        packed = _ip_address(socket.AF_INET, host)
        canonical = host
    target = packed and packed.removeprefix(MAPPED)
    if target and not any(target):
        raise ValueError(f'{shown}: the unspecified address stands '
                         'for all addresses of a machine, and is none')
    if target and (target[0] == 0xff if len(target) == 16
                   else 224 <= target[0] < 240):
        raise ValueError(f'{shown}: a multicast address is no server')
    if not packed and not (
            len(host) <= MAX_HOST_NAME and _is_host_name(host)
            and not _is_number(host.rpartition('.')[2])):
        raise ValueError(f'{shown}: the host is no IPv4 address, no '
                         'IPv6 address in brackets, and no host name of '
                         'letters, digits, - and .')
    return canonical or host, int(port)


def _ip_address(family: int, text: str) -> bytes | None:
    # inet_pton(3) is strict: it takes no octal numbers, and no zone.
    if not _is_ipv6_text(text):
        return None
    try:
        return socket.inet_pton(family, text)
    except OSError:
        return None


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
