"""Watches: the clients to notify of events at a path.

See "ZooKeeper Watches" in the ZooKeeper Programmer's Guide.
"""
from collections.abc import Iterable
from typing import NamedTuple
from typing import Protocol

from zc.zk.embedded import acl
from zc.zk.embedded import paths
from zc.zk.embedded.protocol import EventType

DATA = 'data'
CHILD = 'child'
PERSISTENT = 'persistent'
RECURSIVE = 'recursive'


class NodeEvent(NamedTuple):
    """An event (`EventType`) at a path, and the ACL of the node there."""

    event: int
    path: str
    acl: acl.Acl


class Watcher(Protocol):
    """A connection with watches; `watching` has their kinds and paths."""

    ids: list[acl.Id]
    watching: set[tuple[str, str]]

    def notify(self, event: int, path: str, zxid: int = -1) -> None:
        """Send an event; -1 is the zxid of a change that was missed."""


class Watches:
    """The watches of all watchers, by kind and path.

    A DATA watch (set by exists and getData) and a CHILD watch end with their
    first event. A PERSISTENT watch gets every event at its path, a RECURSIVE
    watch also the events below it.
    """

    def __init__(self) -> None:
        self._watchers: dict[tuple[str, str], set[Watcher]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def add(self, kind: str, path: str, watcher: Watcher) -> None:
        """Add a watch of a path, whether or not a node exists there."""
        key = kind, path
        self._watchers.setdefault(key, set()).add(watcher)
        watcher.watching.add(key)

    def remove(self, kind: str, path: str, watcher: Watcher) -> bool:
        """Remove a watch; return whether there was one."""
        key = kind, path
        if key not in watcher.watching:
            return False
        watcher.watching.discard(key)
        left = self._watchers[key]
        left.discard(watcher)
        if not left:
            del self._watchers[key]
        return True

    def forget(self, watcher: Watcher) -> None:
        """Remove all watches of a watcher."""
        for kind, path in list(watcher.watching):
            self.remove(kind, path, watcher)

    def fire(self, events: Iterable[NodeEvent], zxid: int) -> None:
        """Notify each watcher once for each event.

        A watcher that may not read the node is not notified
        (CVE-2024-23944). Its one-time watches end all the same.
        """
        if not self._watchers:
            return
        for event, path, access in events:
            for watcher in self._watchers_of(event, path):
                if acl.is_allowed(access, acl.READ, watcher.ids):
                    watcher.notify(event, path, zxid)

    def _watchers_of(self, event: int, path: str) -> set[Watcher]:
        found = set(self._watchers.get((PERSISTENT, path), ()))
        if event != EventType.CHILDREN:
            found |= self._spend(DATA, path)
            found.update(self._watchers.get((RECURSIVE, path), ()))
            for above in paths.ancestors(path):
                found.update(self._watchers.get((RECURSIVE, above), ()))
        if event in (EventType.CHILDREN, EventType.DELETED):
            found |= self._spend(CHILD, path)
        return found

    def _spend(self, kind: str, path: str) -> set[Watcher]:
        key = kind, path
        watchers = self._watchers.pop(key, set())
        for watcher in watchers:
            watcher.watching.discard(key)
        return watchers
