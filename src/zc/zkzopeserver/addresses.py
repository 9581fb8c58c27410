"""Addresses: ``HOST:PORT`` in and out, and which one to register.

A server is registered at the address that it listens on, unless the option
`advertise` says otherwise.  psutil, which lists the interfaces of a machine,
is imported only for ``interface:NAME``, as its import takes a while.
"""
from __future__ import annotations

import re
import socket

from zope.server.values import InvalidValue
from zope.server.values import parse_host

from zc.zkzopeserver.errors import ConfigurationError

Address = tuple[str, int]


# HOST:PORT.

def split_address(text: str) -> Address:
    """Return (host, port) of ``HOST:PORT``; an IPv6 host is in brackets.

    The host may be empty.  Raise InvalidValue for anything else.
    """
    host, colon, port = text.strip().rpartition(':')
    if (not colon or not re.fullmatch('[0-9]{1,5}', port)
            or int(port) > 65535):
        raise InvalidValue('HOST:PORT')
    if ':' in host and not host.startswith('['):
        raise InvalidValue('HOST:PORT, an IPv6 host as [::1]')
    return parse_host(host), int(port)


# The option `advertise`.

def check_advertise(advertise: str | None) -> None:
    """Raise ConfigurationError for an interface that is not there."""
    if advertise and advertise.startswith('interface:'):
        interface_host(advertise)


def advertised_address(advertise: str | None, bound: Address,
                       zookeeper: str) -> Address:
    """Return the (host, port) to register for a server bound to `bound`.

    `advertise` is the value of that option, `zookeeper` the connection
    string.  Raise ConfigurationError when there is no such interface, or no
    route to ZooKeeper.
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
    """Return the IPv4 address of ``interface:NAME``, or else an IPv6 one.

    A link-local IPv6 address means nothing on another machine and is passed
    over.  Raise ConfigurationError when there is no address.
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
    """Return our own address on the way to ZooKeeper.

    Ask the routing table: connecting a UDP socket sends nothing (udp(7)).
    Raise ConfigurationError when there is no route to any of its servers.
    """
    problems = []
    for server in zookeeper.partition('/')[0].split(','):
        try:
            return _source_address(*split_address(server))
        except OSError as error:
            problems.append(f'{server}: {error.strerror or error}')
    raise ConfigurationError(
        "option 'advertise': no route to ZooKeeper (" + '; '.join(problems)
        + ')')


def _source_address(host: str, port: int) -> str:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return probe.getsockname()[0]
