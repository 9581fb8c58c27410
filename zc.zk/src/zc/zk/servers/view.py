"""`Servers`: a view of the servers of a service, for its clients."""
from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kazoo.protocol.states import EventType
from kazoo.protocol.states import WatchedEvent
from zc.zk.client import ZooKeeper
from zc.zk.errors import CancelWatch
from zc.zk.loglimit import LimitedLogger
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.printable import printable
from zc.zk.servers.reading import NodeData
from zc.zk.servers.reading import read_nodes
from zc.zk.servers.server import Server
from zc.zk.servers.server import make_servers
from zc.zk.watch.views import NodeView

logger = LimitedLogger(logging.getLogger('zc.zk.servers'))

#: The most names that are logged one by one when they are refused at once.
MAX_LOGGED = 20

Callback = Callable[['Change'], Any]
Current = dict[str, Server]


@dataclass(frozen=True)
class Change:
    """What has changed since the last call of a callback.

    `changed` has servers with other properties than before. `servers` are
    all servers now.
    """

    added: tuple[Server, ...]
    removed: tuple[Server, ...]
    changed: tuple[Server, ...]
    servers: tuple[Server, ...]


class Servers(NodeView, Collection):
    """The servers at a path, which is followed through links.

    A collection of `Server` objects, in the order of their names. Names that
    are no addresses of servers are left out, with one warning each;
    `refused` tells why, by name.

    What is not known is not empty. Until the providers node has been read
    for the first time, `is_known` is false. While it does not exist, while
    ZooKeeper is away, and until it was read again, `stale_since` is a time,
    and the servers are those that were known last. An empty collection that
    is known and not stale means: ZooKeeper has no server.

    Hold the object: when it is dropped, its callbacks are dropped with it.
    """

    event = EventType.CHILD
    data: Current

    def __init__(self, zk: ZooKeeper, path: str) -> None:
        self.refused: dict[str, str] = {}
        self.is_known = False
        self._place = path
        self._nodes: dict[str, NodeData] = {}
        # The names of nodes that are watched, and did not change since.
        self._fresh: set[str] = set()
        # The names of nodes whose data was read only once.
        self._unconfirmed: set[str] = set()
        self._serial = 0
        self._is_scheduled = False
        self._told: dict[Callback, Current] = {}
        self._missing_since: float | None = None
        super().__init__(zk._dispatcher, path, required=False)

    def __iter__(self) -> Iterator[Server]:
        return iter(self.data.values())

    def __len__(self) -> int:
        return len(self.data)

    def __contains__(self, server: object) -> bool:
        return server in self.data.values()

    def get(self, name: str) -> Server | None:
        """Return the server whose node has this name, None for none."""
        return self.data.get(name)

    def __repr__(self) -> str:
        return f'zc.zk.servers.Servers({self.path})'

    def __call__(self, callback: Callable[..., Any]) -> Servers:
        """Call a function with a `Change`, now and after each change.

        The first `Change` has all servers as `added`. It comes when the
        servers are known, and then also without any server. What a function
        does not learn because it raises an exception is part of the next
        `Change`. See `zc.zk.Children` for exceptions.

        Returns the view, to be usable as a decorator.
        """
        super().__call__(callback)
        return self

    @property
    def stale_since(self) -> float | None:
        """When the servers ceased to be current; None if they are current.

        In seconds since the epoch.
        """
        times = [when for when in (super().stale_since, self._missing_since)
                 if when is not None]
        return min(times, default=None)

    # Events, in the view's strand:

    def refresh(self) -> None:
        """Read everything again; call the callbacks if it has changed."""
        with self._lock:
            self._fresh.clear()
        super().refresh()

    def confirm(self) -> None:
        """Read again what is not confirmed; call the callbacks if need be."""
        with self._lock:
            self._is_confirm_due = False
            self._fresh -= self._unconfirmed
        super().refresh()

    def node_changed(self, event: WatchedEvent) -> None:
        """Read again what has changed, once for all events of the moment."""
        with self._lock:
            parent, name = split(event.path)
            if parent == self.real_path:
                self._fresh.discard(name)
            if self._is_scheduled:
                return
            self._is_scheduled = True
        self._dispatcher.run(self, self._refresh_some)

    def _refresh_some(self) -> None:
        with self._lock:
            self._is_scheduled = False
        super().refresh()

    # Reading, with the lock:

    def _empty(self) -> Current:
        # When the node is deleted, the servers are unknown, and stay.
        return self.__dict__.get('data', {})

    def _load(self) -> None:
        try:
            super()._load()
        finally:
            if not self.deleted:
                self._missing_since = None
            elif self._missing_since is None:
                self._missing_since = time.time()
                self._forget(self._nodes)
                logger.warning(
                    '%r: there is no such node; the servers that were known '
                    'last stay', self)

    def _fetch(self) -> tuple[Current, tuple[Any, ...]]:
        path = self.real_path
        if self._place != path:
            self._forget(self._nodes)
            self._place = path
        names, stat = self._dispatcher.get_children(path, True)
        usable, refused = make_servers((name, {}) for name in names)
        self._forget(self._nodes.keys() - usable.keys())
        new = [name for name in usable if name not in self._fresh]
        for name in new:
            self._dispatcher.add(join(path, name), self)
        nodes = read_nodes(self._dispatcher, path, new, {
            name: node for name, node in self._nodes.items()
            if name not in self._unconfirmed})
        self._unconfirmed.difference_update(new)
        for name, node in nodes.items():
            known = self._nodes.get(name)
            if known is not None and known.is_same(node):
                # The same object: a property may differ from itself (NaN).
                nodes[name] = known
            else:
                self._unconfirmed.add(name)
        if self._unconfirmed:
            self._confirm_later()
        for name in new:
            self._nodes.pop(name, None)
        self._nodes.update(nodes)
        self._fresh.update(name for name in nodes if nodes[name].is_watched)
        self._log_refused(refused)
        servers, _ = make_servers(
            (name, node.properties) for name, node in self._nodes.items())
        if servers != self.data or not self.is_known:
            self._serial += 1
            self.is_known = True
        return servers, (stat.czxid, hash(frozenset(names)), self._serial)

    def _forget(self, names: Iterable[str]) -> None:
        """Watch these nodes no more."""
        names = list(names)
        self._dispatcher.discard(
            [join(self._place, name) for name in names], self)
        for name in names:
            self._nodes.pop(name, None)
        self._fresh.difference_update(names)
        self._unconfirmed.difference_update(names)

    def _log_refused(self, refused: dict[str, str]) -> None:
        new = [why for name, why in refused.items()
               if name not in self.refused]
        self.refused = refused
        for why in new[:MAX_LOGGED]:
            logger.warning('%s: left out: %s', printable(self.path), why)
        if new[MAX_LOGGED:]:
            logger.warning('%s: %d more names are left out',
                           printable(self.path), len(new) - MAX_LOGGED)

    # Callbacks:

    def _call(self, callback: Callable[..., Any]) -> None:
        if not self.is_known:
            return
        servers = self.data
        before = self._told.get(callback)
        change = _difference(before or {}, servers)
        if before is None or change.added or change.removed or change.changed:
            try:
                callback(change)
            except CancelWatch:
                self._told.pop(callback, None)
                raise
            self._told[callback] = servers


def _difference(before: Current, now: Current) -> Change:
    return Change(
        tuple(now[name] for name in now if name not in before),
        tuple(before[name] for name in before if name not in now),
        tuple(now[name] for name in now
              if name in before and now[name] != before[name]),
        tuple(now.values()))
