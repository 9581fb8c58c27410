"""Views: objects that show a node, and follow its changes.

The dispatcher refers to views weakly. The application has to hold a view: if
it is dropped, its callbacks are dropped with it.
"""
import inspect
import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from functools import partial
from typing import Any

from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import WatchedEvent
from zc.zk import paths
from zc.zk.encoding import decode
from zc.zk.errors import CancelWatch
from zc.zk.errors import LinkLoop
from zc.zk.loglimit import LimitedLogger
from zc.zk.printable import printable
from zc.zk.watch.dispatcher import WatchDispatcher

logger = LimitedLogger(logging.getLogger('zc.zk.watch'))

#: Events after which the path of a view may lead to another node.
MOVE_EVENTS = (EventType.CREATED, EventType.DELETED)

#: Errors that mean that the path of a view leads to no node.
ABSENT = (NoNodeError, LinkLoop)


class NodeView:
    """A view of a node; the base of `Children` and `Properties`.

    `path` is the path that was given, `real_path` the same with links
    followed. `deleted` is whether the path leads to no node now, `watch`
    whether changes are followed. `callbacks` are the functions to call after
    a change.
    """

    #: The event that tells of a change of what the view shows.
    event = EventType.NONE

    def __init__(self, dispatcher: WatchDispatcher, path: str,
                 watch: bool = True, required: bool = True) -> None:
        self.path = path
        self.real_path = path
        self.watch = watch
        self.deleted = False
        self.data: Any = self._empty()
        self.callbacks: list[Callable[..., Any]] = []
        self._dispatcher = dispatcher
        self._lock = threading.RLock()
        self._version: tuple[Any, ...] = ()
        # What the last reading came to, and whether another one is to
        # confirm it.
        self._reading: tuple[Any, ...] | None = None
        self._is_confirm_due = False
        # The losses of the connection when the node was read last, and when
        # it could not be read, or was read once and for all.
        self._losses = -1
        self._outdated_since: float | None = time.time()
        # The paths of the nodes that were read to find the real path.
        self._watched: set[str] = set()
        try:
            self._load()
        except ABSENT as error:
            if required:
                raise dispatcher.explained(error) from None

    def __call__(self, callback: Callable[..., Any]) -> 'NodeView':
        """Call a function with this view, now and after each change.

        If the first call raises an exception, that is raised here, and the
        function is not called again. Exceptions of later calls are logged.
        A function that raises `CancelWatch` is not called again.

        While the path leads to no node, the function is called without an
        argument, if it has no required parameters; else it is not called.

        Returns the view, to be usable as a decorator.
        """
        if not self.watch:
            raise TypeError("Can't set callbacks without watching.")
        version = self._version
        try:
            self._call(callback)
        except CancelWatch:
            return self
        self.callbacks.append(callback)
        if version != self._version:
            # The node changed during the first call.
            self._dispatcher.run(self, partial(self._notify, [callback]))
        return self

    def __repr__(self) -> str:
        deleted = 'DELETED: ' if self.deleted else ''
        return f'{deleted}zc.zk.{type(self).__name__}({printable(self.path)})'

    def __hash__(self) -> int:
        return id(self)

    @property
    def stale_since(self) -> float | None:
        """When the view ceased to be current, None if it is current.

        The time is in seconds since the epoch. A view is current while its
        connection lasts; it then shows what ZooKeeper has, but for events
        that are on their way. After a lost connection it shows the last state
        that is known, until it has read the node again. A view that does not
        watch is as old as its reading.
        """
        times = [when for when in (self._outdated_since,
                                   self._dispatcher.loss_after(self._losses))
                 if when is not None]
        return min(times, default=None)

    def refresh(self) -> None:
        """Read the node again, and call the callbacks if it has changed."""
        with self._lock:
            before = self._version
            try:
                self._load()
            except ABSENT:
                pass
            except ConnectionClosedError:
                return
            except KazooException as error:
                self._outdated_since = self._outdated_since or time.time()
                self._note_reading((type(error),))
                logger.error('%r: %s %s', self, type(error).__name__,
                             printable(error))
                return
            changed = before != self._version
        if changed:
            self._notify()

    def confirm(self) -> None:
        """Read the node again, as the first reading may have been wrong."""
        with self._lock:
            self._is_confirm_due = False
        self.refresh()

    def node_changed(self, event: WatchedEvent) -> None:
        """Refresh after an event of the node, or of a node that leads to it.

        Events that do not concern what the view shows are ignored.
        """
        if (event.type in MOVE_EVENTS or event.type == self.event
                or event.path != self.real_path):
            self.refresh()

    # Defined in subclasses:

    def _empty(self) -> Any:
        raise NotImplementedError

    def _fetch(self) -> tuple[Any, tuple[Any, ...]]:
        """Return the data, and a tuple that differs after every change.

        It differs, too, if an answer was not as ZooKeeper has sent it.
        """
        raise NotImplementedError

    def _set_data(self, data: Any) -> None:
        self.data = data

    def _load(self) -> None:
        with self._lock:
            losses = self._dispatcher.losses
            try:
                self.real_path = self._resolve()
                data, version = self._fetch()
            except ABSENT:
                self.deleted = True
                self._version = ()
                self._note_success(losses)
                self._set_data(self._empty())
                raise
            self.deleted = False
            self._version = (self.real_path, *version)
            self._note_success(losses)
            self._set_data(data)

    def _note_success(self, losses: int) -> None:
        """Note that the node was read when `losses` sessions were lost."""
        self._losses = losses
        self._outdated_since = None if self.watch else time.time()
        self._note_reading(self._version)

    def _note_reading(self, reading: tuple[Any, ...]) -> None:
        """Have what was read confirmed, until two readings are equal."""
        if reading != self._reading:
            self._reading = reading
            self._confirm_later()

    def _confirm_later(self) -> None:
        if self.watch and not self._is_confirm_due:
            self._is_confirm_due = True
            self._dispatcher.confirm_later(self)

    def _resolve(self) -> str:
        watched: set[str] = set()

        def watching(read: Callable[[str, bool], Any]
                     ) -> Callable[[str], Any]:
            def read_watched(path: str) -> Any:
                if self.watch:
                    watched.add(path)
                    self._dispatcher.add(path, self)
                return read(path, self.watch)
            return read_watched

        get = watching(self._dispatcher.get)
        try:
            return paths.resolve(self.path, watching(self._dispatcher.exists),
                                 lambda path: decode(get(path)[0], path))
        finally:
            self._dispatcher.discard(self._watched - watched, self)
            self._watched = watched

    def _notify(self,
                callbacks: Iterable[Callable[..., Any]] | None = None) -> None:
        for callback in list(callbacks or self.callbacks):
            try:
                self._call(callback)
            except CancelWatch:
                logger.debug('%r: %r wants no more calls', self, callback)
                self.callbacks.remove(callback)
            except Exception:
                logger.exception('%r: %r failed', self, callback)

    def _call(self, callback: Callable[..., Any]) -> None:
        if not self.deleted:
            callback(self)
        elif _accepts_no_arguments(callback):
            callback()


class Children(NodeView, Collection):
    """The names of a node's children, as a collection in sorted order."""

    event = EventType.CHILD

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __contains__(self, name: object) -> bool:
        return name in self.data

    def _empty(self) -> list[str]:
        return []

    def _fetch(self) -> tuple[list[str], tuple[Any, ...]]:
        names, stat = self._dispatcher.get_children(self.real_path, self.watch)
        names = sorted(names)
        return names, (stat.czxid, hash(tuple(names)), stat.pzxid)


def _accepts_no_arguments(callback: Callable[..., Any]) -> bool:
    """Return whether a function can be called without arguments."""
    try:
        inspect.signature(callback).bind()
    except (TypeError, ValueError):
        return False
    return True
