"""One followed service: whom requests may be sent to now.

It puts together what ZooKeeper has (`Servers`), who is held (`Hold`), the
condition of `--where`, and the addresses of host names.
"""
from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from kazoo.exceptions import KazooException
from zc.zk.client import ZooKeeper
from zc.zk.follow.memory import Remembered
from zc.zk.follow.report import Report
from zc.zk.follow.resolver import Resolver
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.loglimit import LimitedLogger
from zc.zk.registration.marks import read_marks
from zc.zk.servers import Hold
from zc.zk.servers import Server
from zc.zk.servers import Servers
from zc.zk.servers import ask
from zc.zk.taskthread import TaskThread

logger = LimitedLogger(logging.getLogger('zc.zk.follow'))

#: The time after which a node that could not be read is read again.
REFRESH_INTERVAL_S = 5.0


@dataclass(frozen=True)
class Policy:
    """What is believed, and for how long; see the command's options."""

    hold: float = 300.0
    hold_after: float = 3.0
    allow_empty: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)


class Service:
    """The servers at a path, followed.

    `wake` is called in other threads when there is something to do.
    `remembered` is what a process before knew. All methods are for one thread.
    """

    def __init__(self, zk: ZooKeeper, name: str, path: str, policy: Policy,
                 resolver: Resolver, wake: Callable[[], None],
                 remembered: Remembered | None = None) -> None:
        self.name = name
        self.path = path
        self._zk = zk
        self._policy = policy
        self._resolver = resolver
        self._wake = wake
        self._hold = Hold(policy.hold, policy.hold_after)
        self._asks = TaskThread('zc.zk follow asks')
        self._answers: list[Mapping[str, Any]] = []
        self._is_asking = False
        # The servers that ZooKeeper has or has had, as long as they matter.
        self._seen: dict[str, Server] = {}
        self._held_before: frozenset[str] = frozenset()
        self._targets: tuple[Target, ...] = ()
        self._report = Report(logger.error)
        self._unknown = Report(logger.warning)
        self._refresh_at = 0.0
        self.last_change = time.time()
        self._servers: Servers | None = None
        if remembered is not None:
            self._seen.update(remembered.servers)
            self._hold.recall(time.monotonic(), remembered.memory,
                              remembered.age)
        self._open()

    def close(self) -> None:
        """Follow no more."""
        self._asks.close()
        self._servers = None

    @property
    def held(self) -> frozenset[str]:
        """The servers that are held; see `zc.zk.servers.Hold`."""
        return self._hold.held

    @property
    def refused(self) -> Mapping[str, str]:
        """The names that are no addresses, and why."""
        return self._servers.refused if self._servers else {}

    @property
    def stale_since(self) -> float | None:
        """Since when the list is not certainly current; None if it is."""
        return self._servers.stale_since if self._servers else 0.0

    @property
    def is_missing(self) -> bool:
        """Whether there is no such node now."""
        return self._servers is not None and self._servers.deleted

    def remember(self) -> Remembered:
        """Return what a process after this one has to know."""
        return Remembered(self._hold.memory(time.monotonic()),
                          dict(self._seen))

    def believe(self) -> None:
        """Believe what ZooKeeper says: hold nobody."""
        self._hold.believe()

    def hosts(self) -> set[str]:
        """Return the hosts whose addresses are needed."""
        return {server.host for server in self._seen.values()}

    def wake_at(self) -> float:
        """Return the time at which `update` has something to do."""
        now = time.monotonic()
        hold = self._hold.wake_at(now)
        times = [now + 1.0 if self._is_asking else hold]
        return min((when for when in times if when is not None),
                   default=now + REFRESH_INTERVAL_S)

    def update(self) -> None:
        """Take in what ZooKeeper has and who answered; ask who is due."""
        now = time.monotonic()
        if self._servers is None:
            self._open()
        if self._servers is None or not self._servers.is_known:
            self._unknown.say(f'{self.name}: the servers at {self.path} are '
                              'not known yet; nothing is written')
            return
        self._unknown.over()
        if self._servers.stale_since is None:
            self._see(now)
        elif now >= self._refresh_at:
            # Without an event of its own, as after a NoAuthError.
            self._refresh_at = now + REFRESH_INTERVAL_S
            if self._zk.client.connected:
                self._zk._dispatcher.run(self._servers,
                                         self._servers.refresh)
        self._take_answers(now)
        self._ask(now)
        self._log_held()

    def upstream(self) -> Upstream | None:
        """Return the service with its targets; None while it is unknown.

        The list never becomes empty unless that is allowed: the last one
        stays.
        """
        if self._servers is None or not self._servers.is_known:
            return None
        targets = tuple(self._find_targets())
        if targets or self._policy.allow_empty:
            self._report.over()
            if targets != self._targets:
                self.last_change = time.time()
            self._targets = targets
        else:
            self._report.say(
                f'{self.name}: no server is left'
                + ('; the last list stays' if self._targets else
                   '; nothing is written'))
            if not self._targets:
                return None
        return Upstream(self.name, self.path, self._targets, self.stale_since)

    def _open(self) -> None:
        try:
            servers = Servers(self._zk, self.path)
        except KazooException as error:
            self._unknown.say(f'{self.name}: {self.path} cannot be read: '
                              f'{type(error).__name__} {error}')
            return
        self._servers = servers(lambda change: self._wake())

    def _see(self, now: float) -> None:
        assert self._servers is not None
        present = {server.name: server for server in self._servers}
        self._hold.see(now, present.keys(), self._servers.real_path)
        for server in self._hold.expire(now):
            logger.warning('%s: %s was put back for %g s, and is given up',
                           self.name, server, self._policy.hold)
        self._seen.update(present)
        for name in (self._seen.keys() - present.keys()
                     - self._hold.remembered):
            del self._seen[name]
        if suspects := self._hold.suspects(now):
            self._hold.withdraw(suspects & read_marks(
                self._zk.client, self._servers.real_path))

    def _ask(self, now: float) -> None:
        if self._is_asking:
            return
        due = self._hold.due(now)
        addresses = {
            name: (address, self._seen[name].port) for name in due
            if (address := self._resolver.address(self._seen[name].host))}
        if addresses:
            self._is_asking = True
            self._asks.put(lambda: self._ask_all(addresses))

    def _ask_all(self, addresses: Mapping[str, tuple[str, int]]) -> None:
        # In the thread for it: the silent ones take a second.
        self._answers.append(ask(addresses))
        self._wake()

    def _take_answers(self, now: float) -> None:
        while self._answers:
            self._is_asking = False
            for name, answer in self._answers.pop(0).items():
                self._hold.answer(now, name, answer)

    def _log_held(self) -> None:
        held = self._hold.held
        if new := held - self._held_before:
            logger.warning(
                '%s: %s vanished together with others and still accept '
                'connections; put back for up to %g s', self.name,
                ', '.join(sorted(new)), self._policy.hold)
        present = {server.name for server in self._servers or ()}
        if back := (self._held_before - held) & present:
            logger.info('%s: back in ZooKeeper: %s', self.name,
                        ', '.join(sorted(back)))
        if gone := self._held_before - held - present:
            logger.info('%s: held no more: %s', self.name,
                        ', '.join(sorted(gone)))
        self._held_before = held

    def _find_targets(self) -> list[Target]:
        assert self._servers is not None
        names = {server.name for server in self._servers} | self._hold.held
        found: dict[str, Target] = {}
        for name in sorted(names):
            server = self._servers.get(name) or self._seen.get(name)
            if server is None or not self._fits(server):
                continue
            if host := self._resolver.address(server.host):
                target = Target(name, host, server.port, server.properties)
                found.setdefault(target.address, target)
        return list(found.values())

    def _fits(self, server: Server) -> bool:
        """Whether the server has the properties of `--where`."""
        return all(name in server.properties
                   and server.properties[name] == value
                   and isinstance(server.properties[name], bool)
                   == isinstance(value, bool)
                   for name, value in self._policy.where.items())
