"""What to register: the address that clients are to use.

By default the address that is listened on; the option `advertise` says
otherwise.  Only this module imports psutil, for an interface's addresses,
and only then, because it takes a while to import.
"""
from __future__ import annotations

import socket

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options.values import split_address

Address = tuple[str, int]


def check(advertise: str | None) -> None:
    """Refuse an interface that this machine does not have."""
    if advertise and advertise.startswith('interface:'):
        interface_host(advertise)


def advertised(advertise: str | None, bound: Address,
               zookeeper: str) -> Address:
    """(host, port) to register, for a server that listens on `bound`.

    `advertise` is as the option table describes it; `zookeeper` is the
    connection string.  Raises ConfigurationError when an interface or a route
    cannot be had.
    """
    host, port = bound[:2]
    if advertise is None:
        return host, port
    if advertise == 'route':
        return route_host(zookeeper), port
    if advertise.startswith('interface:'):
        return interface_host(advertise), port
    if ':' in advertise and not is_bare_host(advertise):
        return split_address(advertise)
    return advertise.strip('[]'), port


def is_bare_host(text: str) -> bool:
    """Whether the text is an IPv6 address that no port follows."""
    return text.endswith(']') or not text.startswith('[')\
        and text.count(':') > 1


def interface_host(advertise: str) -> str:
    """The address of ``interface:NAME``: its IPv4 one, or else an IPv6 one.

    A link-local IPv6 address means nothing on another machine and is passed
    over.
    """
    import psutil
    name = advertise.partition(':')[2]
    interfaces = psutil.net_if_addrs()
    if name not in interfaces:
        raise ConfigurationError(
            f"option 'advertise': there is no interface {name!r}; there are "
            + ', '.join(sorted(interfaces)))
    for family in socket.AF_INET, socket.AF_INET6:
        for found in interfaces[name]:
            if found.family == family and not found.address.startswith(
                    'fe80:'):
                return found.address
    raise ConfigurationError(
        f"option 'advertise': interface {name!r} has no IP address")


def route_host(zookeeper: str) -> str:
    """Our address on the way to ZooKeeper.

    Asks the routing table: connecting a UDP socket sends nothing.
    """
    reasons = []
    for server in zookeeper.partition('/')[0].split(','):
        try:
            return _source_address(*split_address(server))
        except OSError as reason:
            reasons.append(f'{server}: {reason.strerror or reason}')
    raise ConfigurationError(
        "option 'advertise': no route to ZooKeeper (" + '; '.join(reasons)
        + ')')


def _source_address(host: str, port: int) -> str:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return probe.getsockname()[0]
