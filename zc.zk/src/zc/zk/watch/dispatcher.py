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
from zc.zk.connection.requests import Calls
from zc.zk.errors import permission
from zc.zk.taskthread import Worker


class View(Protocol):
    """What the hub needs of those that it tells; see `zc.zk.watch.views`."""

    def refresh(self) -> None:
        """Look again: anything may have happened meanwhile."""

    def node_changed(self, event: WatchedEvent) -> None:
        """Something happened to a node that was asked for."""


class Hub:
    """Reads nodes for views, and tells them when to look again."""

    def __init__(self, client: KazooClient, calls: Calls) -> None:
        self.client = client
        self._calls = calls
        self.worker = Worker('zc.zk watches')
        self._lock = threading.Lock()
        self._views: dict[str, weakref.WeakSet[View]] = {}
        client.add_listener(self._state_changed)

    def close(self) -> None:
        """Stop telling views anything."""
        self.client.remove_listener(self._state_changed)
        self.worker.close()

    def join(self, timeout: float) -> None:
        """Wait for the thread, which may be in a callback, to end."""
        self.worker.join(timeout)

    def add(self, path: str, view: View) -> None:
        """Have the view told of what happens to a node."""
        with self._lock:
            self._views.setdefault(path, weakref.WeakSet()).add(view)

    def discard(self, path_names: Iterable[str], view: View) -> None:
        """Tell the view no more of these nodes."""
        with self._lock:
            for path in path_names:
                if path in self._views:
                    self._views[path].discard(view)

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
        watcher = self._changed if watch else None
        with permission('READ', path):
            return self.client.retry(self._calls.ask, read, path, watcher,
                                     **options)

    # Called by kazoo, in its threads:

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self.worker.put(self._refresh_all)

    def _changed(self, event: WatchedEvent) -> None:
        if event.type != EventType.NONE:
            self.worker.put(partial(self._tell, event))

    # Called by the worker:

    def _refresh_all(self) -> None:
        with self._lock:
            for path in [path for path, views in self._views.items()
                         if not views]:
                del self._views[path]
            views = {view for views in self._views.values()
                     for view in views}
        for view in views:
            self.worker.put(view.refresh)

    def _tell(self, event: WatchedEvent) -> None:
        with self._lock:
            views = set(self._views.get(event.path, ()))
            if not views:
                self._views.pop(event.path, None)
        for view in views:
            self.worker.put(partial(view.node_changed, event))
