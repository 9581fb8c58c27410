"""Who is told what kazoo's watches see.

kazoo's threads only hand events over. The hub's own thread reads the nodes
and calls callbacks, so that they may take their time and use ZooKeeper. Views
are known by weak references only.
"""
from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from typing import Any
from typing import Protocol

from kazoo.client import KazooClient
from kazoo.protocol.states import EventType
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import WatchedEvent
from kazoo.protocol.states import ZnodeStat
from zc.zk.connection.requests import Requests
from zc.zk.errors import permission
from zc.zk.taskthread import TaskThread


class Observer(Protocol):
    """What the hub needs of those that it tells; see `zc.zk.watch.views`."""

    def refresh(self) -> None:
        """Look again: anything may have happened meanwhile."""

    def node_changed(self, event: WatchedEvent) -> None:
        """Something happened to a node that was asked for."""


class WatchDispatcher:
    """Reads nodes for views, and tells them when to look again."""

    def __init__(self, client: KazooClient, requests: Requests) -> None:
        self.client = client
        self._requests = requests
        self.tasks = TaskThread('zc.zk watches')
        self._lock = threading.Lock()
        self._observers: dict[str, weakref.WeakSet[Observer]] = {}
        client.add_listener(self._state_changed)

    def close(self) -> None:
        """Stop telling views anything."""
        self.client.remove_listener(self._state_changed)
        self.tasks.close()

    def join(self, timeout: float) -> None:
        """Wait for the thread, which may be in a callback, to end."""
        self.tasks.join(timeout)

    def add(self, path: str, view: Observer) -> None:
        """Have the view told of what happens to a node."""
        with self._lock:
            self._observers.setdefault(path, weakref.WeakSet()).add(view)

    def discard(self, path_names: Iterable[str], view: Observer) -> None:
        """Tell the view no more of these nodes."""
        with self._lock:
            for path in path_names:
                if path in self._observers:
                    self._observers[path].discard(view)

    def exists(self, path: str, watch: bool) -> ZnodeStat | None:
        """As KazooClient.exists, patient with lost connections."""
        return self._read(self.client.exists_async, path, watch)

    def get(self, path: str, watch: bool) -> tuple[bytes, ZnodeStat]:
        """As KazooClient.get, patient with lost connections."""
        return self._read(self.client.get_async, path, watch)

    def get_children(self, path: str,
                     watch: bool) -> tuple[list[str], ZnodeStat]:
        """Names and Stat, patient with lost connections."""
        return self._read(self.client.get_children_async, path, watch,
                          include_data=True)

    def _read(self, read: Callable[..., Any], path: str, watch: bool,
              **options: Any) -> Any:
        # One and the same watcher for all: kazoo keeps each watcher once.
        watcher = self._node_changed if watch else None
        with permission('READ', path):
            return self.client.retry(self._requests.ask, read, path, watcher,
                                     **options)

    # Called by kazoo, in its threads:

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self.tasks.put(self._refresh_all)

    def _node_changed(self, event: WatchedEvent) -> None:
        if event.type != EventType.NONE:
            self.tasks.put(partial(self._dispatch, event))

    # Called by the worker:

    def _refresh_all(self) -> None:
        with self._lock:
            for path in [path for path, views in self._observers.items()
                         if not views]:
                del self._observers[path]
            views = {view for views in self._observers.values()
                     for view in views}
        for view in views:
            self.tasks.put(view.refresh)

    def _dispatch(self, event: WatchedEvent) -> None:
        with self._lock:
            views = set(self._observers.get(event.path, ()))
            if not views:
                self._observers.pop(event.path, None)
        for view in views:
            self.tasks.put(partial(view.node_changed, event))
