"""Prometheus: a file of ``file_sd_configs``, a group for each server.

Source: prometheus.io/docs/prometheus/latest/configuration/configuration,
"file_sd_config" and "relabel_config". A label whose name begins with
``__meta_`` is for relabelling and goes afterwards.
"""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from zc.zk.addresses import format_addr
from zc.zk.addresses import parse_server_addr
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.format import Word
from zc.zk.follow.formats.format import json_text
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.redaction import MASK
from zc.zk.redaction import redact_value

#: The longest value of a label.
MAX_VALUE = 200

_PREFIX = '__meta_zookeeper_'


class Prometheus(Format):
    """JSON that Prometheus reads when it has changed."""

    name = 'prometheus'
    words = {
        'metrics-path': Word('/[A-Za-z0-9_./-]{0,200}'),
        'scheme': Word('https?'),
    }

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the groups of all servers."""
        groups = [self._group(upstream, target)
                  for upstream in upstreams for target in upstream.targets]
        return json_text(groups)

    def _group(self, upstream: Upstream, target: Target) -> dict[str, Any]:
        labels = {
            'service': upstream.name,
            f'{_PREFIX}path': upstream.path,
            f'{_PREFIX}name': target.name,
        }
        given = dict(text.split(' ') for text in self.of('server'))
        if 'scheme' in given:
            labels['__scheme__'] = given['scheme']
        address = _metrics_address(target)
        if address is None:
            address = target.address
            if 'metrics-path' in given:
                labels['__metrics_path__'] = given['metrics-path']
        for name, value in target.properties.items():
            label = _PREFIX + 'property_' + re.sub('[^A-Za-z0-9_]', '_', name)
            text = _label_value(name, value)
            if text is not None and len(label) <= MAX_VALUE:
                labels.setdefault(label, text)
        return {'targets': [address], 'labels': labels}


def _metrics_address(target: Target) -> str | None:
    """Return the property `metrics`, an address; None if it is none."""
    value = target.properties.get('metrics')
    if not isinstance(value, str):
        return None
    try:
        return format_addr(*parse_server_addr(value))
    except ValueError:
        return None


def _label_value(name: str, value: Any) -> str | None:
    """Return a property as the value of a label; None leaves it out."""
    shown = redact_value(name, value)
    if not isinstance(shown, str | int | float) or (
            isinstance(shown, str) and MASK in shown):
        return None
    text = shown if isinstance(shown, str) else json.dumps(shown)
    if len(text) > MAX_VALUE:
        return None
    # A lone surrogate is no text that JSON of others has to read.
    return text.encode('utf-8', 'replace').decode()
