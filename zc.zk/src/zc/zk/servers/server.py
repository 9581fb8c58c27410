"""A server, as its node in ZooKeeper describes it."""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from zc.zk.addresses import format_addr
from zc.zk.addresses import parse_server_addr


@dataclass(frozen=True)
class Server:
    """A server: the name of its node, its address and its properties.

    Host and port are as `zc.zk.addresses.parse_server_addr` returns them.
    The properties come from outside as well: any name, and any value that
    JSON can have.
    """

    name: str
    host: str
    port: int
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def address(self) -> str:
        """``HOST:PORT``, the canonical form of the name."""
        return format_addr(self.host, self.port)


def make_servers(nodes: Iterable[tuple[str, Mapping[str, Any]]]
                 ) -> tuple[dict[str, Server], dict[str, str]]:
    """Return the servers of nodes, and why the others are none.

    `nodes` are pairs of a name and properties. Both results have the name as
    their key, in sorted order. Of several names for one address, such as
    ``[::1]:80`` and ``[0::1]:80``, the canonical one is used, or else the
    first.
    """
    found: dict[str, Server] = {}
    refused: dict[str, str] = {}
    by_address: dict[str, str] = {}
    for name, properties in sorted(nodes, key=lambda node: node[0]):
        try:
            server = Server(name, *parse_server_addr(name), properties)
        except ValueError as error:
            refused[name] = str(error)
            continue
        address = server.address.lower()
        other = by_address.setdefault(address, name)
        if other != name:
            if server.address != name:
                refused[name] = f'{name} is the same address as {other}'
                continue
            refused[other] = f'{other} is the same address as {name}'
            by_address[address] = name
            del found[other]
        found[name] = server
    return found, refused
