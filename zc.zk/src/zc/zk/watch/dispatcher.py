"""Dispatch kazoo's watch events to the views that depend on a node.

ZooKeeper's watches are one-time triggers (ZooKeeper Programmer's Guide,
"ZooKeeper Watches"): each read of a node sets its watch again. Events come in
kazoo's threads, which put tasks into the strand of each observer. There nodes
are read and callbacks are called, which may therefore wait for ZooKeeper, and
for anything else: other observers do not wait with them.

The protocol has no checksums: a faulty network may change an answer, or a
request, and with it the node that is watched. So what an observer has read it
reads again a moment later.
"""
from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from typing import Any
from typing import Protocol

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import WatchedEvent
from kazoo.protocol.states import ZnodeStat
from zc.zk.connection.requests import PendingRequest
from zc.zk.connection.requests import Requests
from zc.zk.errors import missing_node
from zc.zk.errors import permission
from zc.zk.watch.strands import Strands

#: The losses of the connection whose times are kept.
MAX_LOSS_TIMES = 100

#: The most requests of `WatchDispatcher.exists_all` that are under way.
WINDOW = 256

#: The time after which an observer reads again what it has read, and the least
#: time from one that does so to the next.
CONFIRM_S = 2.0
CONFIRM_PACE_S = 0.01


class Observer(Protocol):
    """The receiver of events, such as `zc.zk.watch.views.NodeView`."""

    def refresh(self) -> None:
        """Read the node again: events may have been missed."""

    def confirm(self) -> None:
        """Read again what was read for the first time; see `confirm_later`."""

    def node_changed(self, event: WatchedEvent) -> None:
        """Handle an event of a node for which the observer was added."""


class WatchDispatcher:
    """Read nodes with watches, and dispatch the events to observers.

    Observers are referred to weakly: an observer that is dropped gets no
    more events. Each is called in its own strand. `losses` is the
    number of times that the connection was lost, and with it all watches.
    """

    def __init__(self, client: KazooClient, requests: Requests) -> None:
        self.client = client
        self._requests = requests
        self._strands = Strands('zc.zk watches')
        self._lock = threading.Lock()
        self._observers: dict[str, weakref.WeakSet[Observer]] = {}
        self.losses = 0
        self._loss_times: deque[float] = deque(maxlen=MAX_LOSS_TIMES)
        self._is_connected = True
        # The observers that are to confirm what they have read, in their
        # order, each with the time.monotonic() before which it does not, and
        # whether a call of `_confirm_next` is to come.
        self._unconfirmed: deque[
            tuple[float, weakref.ref[Observer]]] = deque()
        self._is_confirming = False
        self._note_state(client.state)
        client.add_listener(self._state_changed)

    def close(self) -> None:
        """Stop dispatching events."""
        self.client.remove_listener(self._state_changed)
        self._strands.close()

    def is_alive(self) -> bool:
        """Return whether a thread runs that calls observers."""
        return self._strands.is_alive()

    def join(self, timeout: float) -> None:
        """Wait `timeout` seconds for callbacks that are running to end."""
        self._strands.join(timeout)

    def run(self, observer: Observer, task: Callable[[], None]) -> None:
        """Run a task in the strand of an observer; do not wait for it."""
        self._strands.put(observer, task)

    def confirm_later(self, observer: Observer) -> None:
        """Call `observer.confirm` in its strand, in CONFIRM_S or later.

        Of many observers one comes after the other, so that events of others
        do not wait for them. Those that are dropped meanwhile take no turn: a
        program may make and drop views faster than they could confirm.
        """
        with self._lock:
            self._unconfirmed.append((time.monotonic() + CONFIRM_S,
                                      weakref.ref(observer)))
            if self._is_confirming:
                return
            self._is_confirming = True
        self._strands.call_later(self._confirm_next, CONFIRM_S)

    def _confirm_next(self) -> None:
        observer: Observer | None = None
        with self._lock:
            waiting, now = self._unconfirmed, time.monotonic()
            while observer is None and waiting and waiting[0][0] <= now:
                observer = waiting.popleft()[1]()
            self._is_confirming = bool(waiting)
            if waiting:
                pace_s = 0.0 if observer is None else CONFIRM_PACE_S
                self._strands.call_later(
                    self._confirm_next, max(waiting[0][0] - now, pace_s))
        if observer is not None:
            self.run(observer, observer.confirm)

    def add(self, path: str, observer: Observer) -> None:
        """Dispatch the events of the node at `path` to an observer."""
        with self._lock:
            self._observers.setdefault(path, weakref.WeakSet()).add(observer)

    def discard(self, paths: Iterable[str], observer: Observer) -> None:
        """Dispatch the events of these nodes to the observer no more."""
        with self._lock:
            for path in paths:
                if path in self._observers:
                    self._observers[path].discard(observer)
                    if not self._observers[path]:
                        del self._observers[path]

    def observers(self) -> set[Observer]:
        """Return all observers, and forget nodes that have none."""
        with self._lock:
            for path in [path for path, observers in self._observers.items()
                         if not observers]:
                del self._observers[path]
            return {observer for observers in self._observers.values()
                    for observer in observers}

    def exists(self, path: str, watch: bool) -> ZnodeStat | None:
        """Return what KazooClient.exists returns; retry lost connections."""
        return self._read(self.client.exists_async, path, watch)

    def get(self, path: str, watch: bool) -> tuple[bytes, ZnodeStat]:
        """Return what KazooClient.get returns; retry lost connections."""
        return self._read(self.client.get_async, path, watch)

    def get_children(self, path: str,
                     watch: bool) -> tuple[list[str], ZnodeStat]:
        """Return the children's names, and the node's ZnodeStat.

        Retries lost connections.
        """
        return self._read(self.client.get_children_async, path, watch,
                          include_data=True)

    def exists_all(self, paths: Iterable[str]) -> list[ZnodeStat | None]:
        """Watch many nodes; return a ZnodeStat for each, in their order.

        None stands for a node that does not exist, and for one that we may
        not read, on which no watch is set. Retries lost connections.
        """
        return self.client.retry(self._exists_all, list(paths))

    def explained(self, error: Exception) -> Exception:
        """Return an error that says so if the connection's root is missing."""
        chroot = self.client.chroot
        if not isinstance(error, NoNodeError) or not chroot:
            return error
        try:
            if self.exists('/', False) is not None:
                return error
        except NoAuthError:
            return error
        return NoNodeError(
            str(error) + missing_node('/', chroot).removeprefix('/'))

    def _exists_all(self, paths: list[str]) -> list[ZnodeStat | None]:
        found: list[ZnodeStat | None] = []
        for start in range(0, len(paths), WINDOW):
            pending = [
                self._requests.send(self.client.exists_async, path,
                                    self._node_changed)
                for path in paths[start:start + WINDOW]]
            for answer in pending:
                try:
                    found.append(answer.result())
                except NoAuthError:
                    found.append(None)
        return found

    def send(self, request: Callable[..., Any],
             *args: Any) -> PendingRequest:
        """Send a request; see `zc.zk.connection.requests.Requests.send`."""
        return self._requests.send(request, *args)

    def loss_after(self, losses: int) -> float | None:
        """Return when the connection was lost next after `losses` losses.

        The time is in seconds since the epoch; None: it was not lost again.
        """
        missed = min(self.losses - losses, len(self._loss_times))
        return self._loss_times[-missed] if missed > 0 else None

    def _read(self, read: Callable[..., Any], path: str, watch: bool,
              **options: Any) -> Any:
        # The same watcher for every read: kazoo keeps equal watchers of a
        # node only once.
        watcher = self._node_changed if watch else None
        with permission('READ', path):
            return self.client.retry(self._requests.ask, read, path, watcher,
                                     **options)

    # Called in kazoo's threads:

    def _note_state(self, state: str) -> None:
        was_connected = self._is_connected
        self._is_connected = state == KazooState.CONNECTED
        if was_connected and not self._is_connected:
            self._loss_times.append(time.time())
            self.losses += 1

    def _state_changed(self, state: str) -> None:
        self._note_state(state)
        if state == KazooState.CONNECTED:
            for observer in self.observers():
                self.run(observer, observer.refresh)

    def _node_changed(self, event: WatchedEvent) -> None:
        if event.type == EventType.NONE:
            return
        with self._lock:
            observers = set(self._observers.get(event.path, ()))
            if not observers:
                self._observers.pop(event.path, None)
        for observer in observers:
            self.run(observer, partial(observer.node_changed, event))
