"""Metrics of the follower itself, and targets for Prometheus, over HTTP.

The text format is prometheus.io/docs/instrumenting/exposition_formats; the
targets are those of its http_sd.
"""
from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from zc.zk import webserver
from zc.zk.follow.formats.prometheus import Prometheus
from zc.zk.follow.upstream import Upstream

#: The time that a client has for its request, and for its answer.
TIMEOUT_S = 5.0

#: The most clients at the same time; more are hung up on.
MAX_CLIENTS = 8


class Followed(Protocol):
    """What the metrics need of a `zc.zk.follow.service.Service`."""

    path: str
    last_change: float

    @property
    def held(self) -> frozenset[str]:
        """The servers that are held."""

    @property
    def refused(self) -> Mapping[str, str]:
        """The names that are no addresses."""

    @property
    def stale_since(self) -> float | None:
        """Since when the list may not be current."""


class Counting(Protocol):
    """What the metrics need of an output."""

    counts: dict[str, int]


class Metrics:
    """The numbers, as text. The loop notes them; clients' threads read."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._last_success = 0.0
        self._services: Sequence[Followed] = ()
        self._counts: dict[str, int] = {}
        self._upstreams: Sequence[Upstream] = ()

    def note(self, services: Sequence[Followed], output: Counting) -> None:
        """Note the state of the services and the output."""
        self._services = services
        self._counts = output.counts

    def note_success(self, upstreams: Sequence[Upstream]) -> None:
        """Note that these are in effect now."""
        self._last_success = time.time()
        self._upstreams = upstreams

    def text(self) -> str:
        """Return the metrics in Prometheus' text format."""
        servers = {upstream.path: len(upstream.targets)
                   for upstream in self._upstreams}
        services = self._services
        lines: list[str] = []

        def add(name: str, kind: str, what: str,
                samples: Sequence[tuple[Mapping[str, str], float]]) -> None:
            lines.append(f'# HELP zookeeper_follow_{name} {what}')
            lines.append(f'# TYPE zookeeper_follow_{name} {kind}')
            for labels, value in samples:
                lines.append(f'zookeeper_follow_{name}{_labels(labels)} '
                             f'{value!r}')

        add('servers', 'gauge', 'Servers that the proxy was told.',
            [({'path': path}, count) for path, count in servers.items()])
        add('held', 'gauge', 'Servers used on, which ZooKeeper has lost.',
            [({'path': service.path}, len(service.held))
             for service in services])
        add('connected', 'gauge', 'Whether the list is current.',
            [({'path': service.path}, int(service.stale_since is None))
             for service in services])
        add('names_refused', 'gauge', 'Nodes whose names are no addresses.',
            [({'path': service.path}, len(service.refused))
             for service in services])
        add('last_change_timestamp_seconds', 'gauge',
            'When the list changed last.',
            [({'path': service.path}, service.last_change)
             for service in services])
        add('last_success_timestamp_seconds', 'gauge',
            'When all was in effect last.',
            [({'output': self._output}, self._last_success)])
        add('reloads_total', 'counter', 'Reloads of the proxy.',
            [({'result': result}, self._counts.get(result, 0))
             for result in ('ok', 'failed')])
        add('check_failures_total', 'counter',
            'Checks of the configuration that failed.',
            [({}, self._counts.get('checks', 0))])
        return '\n'.join(lines) + '\n'

    def targets(self) -> str | None:
        """Return the targets for http_sd; None while they are not known.

        Prometheus keeps its targets for an error, and drops them for an
        empty list.
        """
        if not self._upstreams or any(
                service.stale_since is not None for service in
                self._services):
            return None
        return Prometheus().render(self._upstreams)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ''
    return '{' + ','.join(
        f'{name}={json.dumps(value, ensure_ascii=False)}'
        for name, value in labels.items()) + '}'


class MetricsServer:
    """Answer GET /metrics and GET /targets, in threads of its own.

    Raises OSError when it cannot listen.
    """

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        class Handler(_Handler):
            pass

        Handler.metrics = metrics
        self._server = webserver.Server(address, Handler, MAX_CLIENTS)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(.1,),
            name='zc.zk follow metrics', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(webserver.Handler):
    metrics: Metrics
    timeout = TIMEOUT_S
    server_version = 'zookeeper_follow'

    def do_GET(self) -> None:
        path = self.path.partition('?')[0]
        if path == '/metrics':
            self._answer(200, 'text/plain; version=0.0.4; charset=utf-8',
                         self.metrics.text())
        elif path == '/targets':
            targets = self.metrics.targets()
            if targets is None:
                self._answer(503, 'text/plain', 'not known now\n')
            else:
                self._answer(200, 'application/json', targets)
        else:
            self._answer(404, 'text/plain', '/metrics or /targets\n')

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header('Connection', 'close')
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
