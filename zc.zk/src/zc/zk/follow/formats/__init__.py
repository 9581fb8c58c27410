"""The formats: how each proxy is told of its servers.

A format renders upstreams as the text of a file. It knows which words of
`--options` it allows, and what it takes for a change to arrive.
"""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from zc.zk.follow.formats.envoy import Envoy
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.haproxy import HAProxy
from zc.zk.follow.formats.json_lists import Caddy
from zc.zk.follow.formats.json_lists import Json
from zc.zk.follow.formats.nginx import Nginx
from zc.zk.follow.formats.prometheus import Prometheus
from zc.zk.follow.formats.traefik import Traefik

#: The formats, by the name that `--format` takes.
FORMATS: Mapping[str, type[Format]] = MappingProxyType({
    'nginx': Nginx,
    'haproxy': HAProxy,
    'envoy': Envoy,
    'traefik': Traefik,
    'caddy': Caddy,
    'prometheus': Prometheus,
    'json': Json,
})
