"""Watches: who wants to hear of what."""
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
    """An event at a path, and who may read the node there."""

    event: int
    path: str
    acl: acl.Acl


class Watcher(Protocol):
    """Who has watches: a connection."""

    ids: list[acl.Id]
    watching: set[tuple[str, str]]

    def notify(self, event: int, path: str, zxid: int) -> None:
        """Something has happened, with a zxid."""


class Watches:
    """The watches of all watchers, by kind and path.

    Data watches (exists and getData set them) and child watches hear of
    one event; persistent ones of each, recursive ones also of what
    happens further down.
    """

    def __init__(self) -> None:
        self._watchers: dict[tuple[str, str], set[Watcher]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def add(self, kind: str, path: str, watcher: Watcher) -> None:
        """Watch a path, whether or not it exists."""
        key = kind, path
        self._watchers.setdefault(key, set()).add(watcher)
        watcher.watching.add(key)

    def remove(self, kind: str, path: str, watcher: Watcher) -> bool:
        """Watch a path no longer; whether it was watched."""
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

    def fire(self, happenings: Iterable[NodeEvent], zxid: int) -> None:
        """Tell who is concerned, each of them once for an event.

        Who may not read the node is told nothing; a watch for one event
        is used up all the same.
        """
        if not self._watchers:
            return
        for event, path, access in happenings:
            for watcher in self._concerned(event, path):
                if acl.is_allowed(access, acl.READ, watcher.ids):
                    watcher.notify(event, path, zxid)

    def _concerned(self, event: int, path: str) -> set[Watcher]:
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
