"""Envoy: a file of the endpoint discovery service, EDS.

Source: envoyproxy.io/docs, "Dynamic configuration (filesystem)" and the API
reference of ClusterLoadAssignment. Envoy watches the folder for files that are
moved into place, so a change is seen at once, and takes IP addresses only.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import json_text
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream

TYPE = ('type.googleapis.com/'
        'envoy.config.endpoint.v3.ClusterLoadAssignment')


class Envoy(Format):
    """A resource for each service, whose name is the cluster's."""

    name = 'envoy'
    delay_s = 0.2

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return a DiscoveryResponse in JSON."""
        return json_text({'resources': [
            {'@type': TYPE, 'cluster_name': upstream.name, 'endpoints': [
                {'lb_endpoints': [_endpoint(target)
                                  for target in upstream.targets]}]}
            for upstream in upstreams]})


def _endpoint(target: Target) -> dict[str, Any]:
    endpoint: dict[str, Any] = {'endpoint': {'address': {'socket_address': {
        'address': target.host, 'port_value': target.port}}}}
    if target.weight == 0:
        endpoint['health_status'] = 'DRAINING'  # a weight is 1 or more
    else:
        endpoint['load_balancing_weight'] = target.weight
    return endpoint
