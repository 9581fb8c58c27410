"""Traefik: a file of its file provider, a service for each of ours.

Source: doc.traefik.io/traefik, "File provider" and "Services". The file is
JSON, which is YAML as well, so its name ends in ``.yml``.

Not Traefik's own provider for ZooKeeper: that reads a tree of keys that
somebody would have to write, and misses changes (traefik/traefik#2068, #8163).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import Word
from zc.zk.follow.formats.format import json_text
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream


class Traefik(Format):
    """``http.services``, each with a load balancer."""

    name = 'traefik'
    # providersThrottleDuration, which is 2 s by default.
    delay_s = 2.2
    words = {
        'scheme': Word('https?|h2c'),
        'serversTransport': Word('[A-Za-z0-9_.@-]{1,100}', 'upstream'),
        'passHostHeader': Word('true|false', 'upstream'),
    }

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the dynamic configuration."""
        services = {upstream.name: {'loadBalancer': self._balancer(upstream)}
                    for upstream in upstreams}
        return json_text({'http': {'services': services}})

    def _balancer(self, upstream: Upstream) -> dict[str, Any]:
        given = dict(text.split(' ') for text in self.of('upstream'))
        found: dict[str, Any] = {'servers': [
            self._server(target) for target in upstream.targets
            if target.weight]}
        if 'passHostHeader' in given:
            found['passHostHeader'] = given.pop('passHostHeader') == 'true'
        return found | given

    def _server(self, target: Target) -> dict[str, Any]:
        given = dict(text.split(' ') for text in self.of('server'))
        found: dict[str, Any] = {
            'url': f'{given.get("scheme", "http")}://{target.address}'}
        if target.weight != 1:
            # Traefik before 3.4 refuses the whole file for it.
            found['weight'] = target.weight
        return found
