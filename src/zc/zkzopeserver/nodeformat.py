"""What a server's node says: the properties of the option `node_format`.

``plain`` is our own: ``monitor`` and ``metrics``.  ``nerve`` adds the members
that Airbnb's nerve writes, for synapse and for Prometheus'
``nerve_sd_configs``.  ``serverset`` adds those of Finagle's ServerSets, for
Prometheus' ``serverset_sd_configs``.  Sources: nerve's README ("Reporter"),
the parsers in Prometheus' ``discovery/zookeeper``, and twitter/commons'
``endpoint.thrift``.
"""
from __future__ import annotations

import os
import socket
from typing import Any

import zc.zk.addresses

from zc.zkzopeserver.addresses import Address


def properties(node_format: str, address: Address,
               monitor: Address | str | None,
               metrics: Address | None) -> dict[str, Any]:
    """Return the properties that the server itself sets, but the pid.

    `address` is (host, port) as registered; `monitor` and `metrics` are where
    these listen, None without.  Where a host stands for several addresses, the
    first one is shown.
    """
    found: dict[str, Any] = {}
    if monitor is not None:
        found['monitor'] = (os.path.abspath(monitor)
                            if isinstance(monitor, str)
                            else reachable(monitor, address))
    if metrics is not None:
        found['metrics'] = reachable(metrics, address)
    if node_format == 'nerve':
        found |= endpoint(address) | {'name': socket.gethostname()}
    elif node_format == 'serverset':
        found |= {
            'serviceEndpoint': endpoint(address),
            'additionalEndpoints': {
                name: endpoint(other, address) for name, other in
                (('metrics', metrics), ('monitor', monitor))
                if other is not None and not isinstance(other, str)},
            'status': 'ALIVE'}
    return found


def reachable(listening: Address, address: Address) -> str:
    """Return ``HOST:PORT`` for clients of what listens there.

    Where it listens on all interfaces the host is the server's, or the first
    of the hosts that an empty one stands for.
    """
    host, port = listening[:2]
    if host in zc.zk.addresses.WILDCARDS:
        host = address[0]
    return zc.zk.addresses.node_names((host, port))[0]


def endpoint(listening: Address,
             address: Address | None = None) -> dict[str, Any]:
    """Return host and port as their formats have them: the host bare."""
    name = reachable(listening, address or listening)
    host, port = zc.zk.addresses.parse_server_addr(name)
    return {'host': host, 'port': port}
