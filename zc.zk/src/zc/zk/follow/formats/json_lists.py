"""JSON: for programs of one's own, and for Caddy.

Caddy's own file is a whole configuration, so its servers are told on its admin
API (`zc.zk.follow.caddy`). The file has what was told, by service.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import json_text
from zc.zk.follow.upstream import Upstream
from zc.zk.redaction import redact_value


class Json(Format):
    """An object with a member for each service.

    ``servers`` have ``host``, ``port`` and ``properties``, with secrets
    masked. ``connected`` is whether the list is current, ``since`` since when
    it is not, in seconds since the epoch, or null.
    """

    name = 'json'

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the object."""
        return json_text({
            upstream.name: {
                'path': upstream.path,
                'servers': [{
                    'host': target.host,
                    'port': target.port,
                    'name': target.name,
                    'properties': {
                        name: _plain(redact_value(name, value))
                        for name, value in target.properties.items()},
                } for target in upstream.targets],
                'connected': upstream.stale_since is None,
                'since': upstream.stale_since,
            } for upstream in upstreams})


def _plain(value: Any) -> Any:
    """Return a value without NaN and Infinity, which JSON does not have."""
    return json.loads(json.dumps(value), parse_constant=lambda _: None)


class Caddy(Format):
    """An object with a list of Caddy's upstreams for each service.

    Source: caddyserver.com/docs/json/apps/http/servers/routes/handle/
    reverse_proxy/upstreams. Caddy has no weight for each of them.
    """

    name = 'caddy'
    delay_s = 0.2

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the object."""
        return json_text({upstream.name: caddy_upstreams(upstream)
                           for upstream in upstreams})


def caddy_upstreams(upstream: Upstream) -> list[dict[str, Any]]:
    """Return what the admin API takes for a service."""
    return [{'dial': target.address} for target in upstream.targets
            if target.weight]
