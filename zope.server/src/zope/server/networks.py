"""Addresses of peers, and the networks in which they are.

The texts come from clients: nothing that is only nearly an address is taken
for one.
"""
from __future__ import annotations

import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Longer than any address, so that no more is parsed.
ADDRESS_CHARACTERS = 100
ADDRESSES_CACHED = 1000


def parse_address(text: str) -> IPAddress | None:
    """Return an IP address, an IPv4-mapped one as IPv4; None if it is none.

    A zone (``%eth0``) is dropped: networks have none.
    """
    if len(text) > ADDRESS_CHARACTERS or not text.isascii():
        return None
    try:
        address = ipaddress.ip_address(text.partition('%')[0])
    except ValueError:
        return None
    return getattr(address, 'ipv4_mapped', None) or address


def parse_network(text: str) -> IPNetwork:
    """Return a network from ``10.0.0.0/8``, or from an address: that alone.

    Raise ValueError if it is none, or has bits of a host.
    """
    return ipaddress.ip_network(text.strip())


class Networks:
    """Networks, separated by commas, in which addresses are looked up.

    Raise ValueError for a part that is no network.
    """

    def __init__(self, text: str) -> None:
        self._networks = [parse_network(part) for part in text.split(',')]
        self._cache: dict[str, bool] = {}

    def __contains__(self, text: str) -> bool:
        """Return whether this is an address in one of the networks."""
        found = self._cache.get(text)
        if found is None:
            address = parse_address(text)
            found = address is not None and any(
                address.version == network.version and address in network
                for network in self._networks)
            if len(self._cache) < ADDRESSES_CACHED:
                self._cache[text] = found
        return found
