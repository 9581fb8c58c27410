"""Bring the servers to a proxy: by a file, and what its format needs beside.

An output has what is wanted applied, again and again, until it is in effect.
It never raises for a proxy that is down, a full disk, or a command that fails.
"""
from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from zc.zk.follow.caddy import CaddyAPI
from zc.zk.follow.commands import Command
from zc.zk.follow.flapping import Flaps
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.haproxy import HAProxy
from zc.zk.follow.formats.json_lists import caddy_upstreams
from zc.zk.follow.haproxy import AdminSocket
from zc.zk.follow.haproxy import Backends
from zc.zk.follow.haproxy import Refused
from zc.zk.follow.outputfile import OutputFile
from zc.zk.follow.reloading import Reloader
from zc.zk.follow.report import Report
from zc.zk.follow.upstream import Upstream

logger = logging.getLogger('zc.zk.follow')

#: The time between two comparisons with what a proxy has.
RECONCILE_INTERVAL_S = 5.0

#: The time between two attempts to delete servers that have connections.
RETRY_INTERVAL_S = 0.25

#: The time after which an attempt that failed is repeated.
FAILURE_INTERVAL_S = 1.0


class Output(Protocol):
    """Where the servers are brought.

    `done` says for the log what `apply` has done; `counts` has the numbers of
    reloads that were ``ok`` and ``failed``, and of failed ``checks``.
    """

    done: str
    counts: dict[str, int]

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Do what can be done now; return whether all is in effect."""

    def wake_at(self) -> float | None:
        """Return when `apply` is to be called again; None for no need."""


class PlainFile:
    """A file that the proxy watches itself."""

    done = 'written'

    def __init__(self, file: OutputFile, format: Format) -> None:
        self._file = file
        self._format = format
        self._report = Report(logger.error)
        self._retry_at: float | None = None
        self.counts: dict[str, int] = {}

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Write the file if it differs."""
        text = self._format.render(upstreams)
        try:
            if text != self._file.read():
                self._file.write(text)
        except OSError as error:
            self._report.say(f'{self._file.path}: {error.strerror}; the file '
                             'stays as it was')
            self._retry_at = time.monotonic() + FAILURE_INTERVAL_S
            return False
        self._report.over(f'{self._file.path}: written', logger.info)
        self._retry_at = None
        return True

    def wake_at(self) -> float | None:
        """Return when to write again after a failure."""
        return self._retry_at


class ReloadedFile:
    """A file that the proxy reads when it is reloaded."""

    done = 'loaded'

    def __init__(self, reloader: Reloader, format: Format) -> None:
        self._reloader = reloader
        self._format = format
        self._flaps = Flaps()
        self._loaded: frozenset[str] = frozenset()
        self.counts = reloader.counts

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Write, check and reload, as soon as that may be."""
        now = time.monotonic()
        servers = frozenset(
            f'{upstream.name} {target.address}'
            for upstream in upstreams for target in upstream.targets)
        self._flaps.see(now, servers)
        self._reloader.has_time = self._flaps.flap(now, servers ^ self._loaded)
        done = self._reloader.bring(self._format.render(upstreams))
        if done:
            self._loaded = servers
        return done

    def wake_at(self) -> float | None:
        """Return when the next reload may be."""
        return self._reloader.wake_at()


class HAProxySocket:
    """HAProxy's socket, and the file that its next start reads.

    When the socket refuses a server, HAProxy is reloaded with the file. At the
    beginning it is reloaded if a line of the file changes that is no server's,
    which cannot be told on the socket.
    """

    done = 'told to haproxy'

    def __init__(self, file: OutputFile, format: HAProxy, socket: str,
                 check: Command, reload: Command, interval: float,
                 splay: float) -> None:
        self._plain = PlainFile(file, format)
        self._format = format
        admin = AdminSocket(socket)
        self._backends = Backends(admin, format)
        self._socket = socket
        self._reloader = Reloader(file, check, reload, interval, splay, admin)
        self._reloader.is_due = False
        self._report = Report(logger.error)
        self._next: float | None = None
        self._refused: str | None = None
        self._told: dict[str, Upstream] = {}
        self._first = file.read()
        self._is_first = True
        self.counts = self._reloader.counts

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Write the file; tell the running HAProxy."""
        text = self._format.render(upstreams)
        if self._is_first:
            self._is_first = False
            self._reloader.is_due = _frame(text) != _frame(self._first or '')
        written = self._plain.apply(upstreams)
        if self._reloader.is_due and self._reloader.bring(text):
            self._next = time.monotonic() + RETRY_INTERVAL_S
            return written
        try:
            for upstream in upstreams:
                self._tell(upstream)
        except Refused as error:
            return self._reload(text, error)
        except OSError as error:
            self._report.say(
                f'haproxy at {self._socket}: {error.strerror or error}')
            self._next = time.monotonic() + FAILURE_INTERVAL_S
            return False
        self._refused = None
        self._report.over(f'haproxy at {self._socket}: it answers again',
                          logger.info)
        self._next = time.monotonic() + (
            RETRY_INTERVAL_S if self._backends.pending
            else RECONCILE_INTERVAL_S)
        return written

    def _tell(self, upstream: Upstream) -> None:
        changes = self._backends.reconcile(upstream)
        before = self._told.get(upstream.name)
        if changes and before and before.targets == upstream.targets:
            logger.info('%s: haproxy had lost its list, and is told again',
                        upstream.name)
        self._told[upstream.name] = upstream

    def wake_at(self) -> float | None:
        """Return when to compare with what HAProxy has, or to try again."""
        times = [self._plain.wake_at(), self._reloader.wake_at(), self._next]
        return min((when for when in times if when is not None), default=None)

    def _reload(self, text: str, error: Refused) -> bool:
        self._next = time.monotonic() + RECONCILE_INTERVAL_S
        if self._refused == text:
            # A reload with this list did not help.
            self._report.say(f'haproxy at {self._socket}: {error}')
            return False
        self._refused = text
        logger.warning('haproxy refuses what it was told, and is reloaded: '
                       '%s', error)
        self._reloader.is_due = True
        return self._reloader.bring(text)


class Caddy:
    """Caddy's admin API, and a file of what was told."""

    done = 'told to caddy'

    def __init__(self, file: OutputFile, format: Format, where: str) -> None:
        self._plain = PlainFile(file, format)
        self._api = CaddyAPI(where)
        self._report = Report(logger.error)
        self._next: float | None = None
        self.counts: dict[str, int] = {}

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Write the file; tell Caddy what it does not have."""
        written = self._plain.apply(upstreams)
        self._next = time.monotonic() + RECONCILE_INTERVAL_S
        try:
            for upstream in upstreams:
                wanted = caddy_upstreams(upstream)
                present = self._api.upstreams(upstream.name)
                if present != wanted:
                    self._api.set_upstreams(upstream.name, wanted,
                                            present is not None)
        except (OSError, ValueError) as error:
            self._report.say(f'caddy: {error}')
            self._next = time.monotonic() + FAILURE_INTERVAL_S
            return False
        self._report.over('caddy: it answers again', logger.info)
        return written

    def wake_at(self) -> float | None:
        """Return when to compare with what Caddy has, or to try again."""
        return self._next


def _frame(text: str) -> list[str]:
    """Return the lines of a backend that are no server's."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines
            if line and not line.startswith(('#', 'server '))]
