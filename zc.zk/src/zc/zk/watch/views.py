"""Views of nodes that keep up with them.

The hub tells a view to look again; it knows views by weak references only: a
view that nobody holds is gone, and its callbacks with it.
"""
import inspect
import logging
import threading
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
from zc.zk.watch.dispatcher import WatchDispatcher

logger = logging.getLogger('zc.zk.watch')

#: Events after which a view has to find its node anew.
MOVE_EVENTS = (EventType.CREATED, EventType.DELETED)

#: What makes a view say that its node is deleted.
ABSENT = (NoNodeError, LinkLoop)


class NodeView:
    """What is known of a node; the base of `Children` and `Properties`.

    ``path`` is the path that was asked for, ``real_path`` the one that it
    led to, ``deleted`` whether it leads nowhere at the moment.
    """

    #: The event that says that what we show has changed.
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
        self._watched: set[str] = set()  # the nodes that led to ours
        try:
            self._load()
        except ABSENT:
            if required:
                raise

    def __call__(self, callback: Callable[..., Any]) -> 'NodeView':
        """Call a function with this object, now and after each change.

        Exceptions of this first call are raised, and the function is not
        called again; those of later ones are logged. When the node is
        deleted, the function is called without an argument, if it can be.
        It may raise `CancelWatch` not to be called any more. To be usable
        as a decorator, returns this object, which somebody has to hold.
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
            # It changed while the callback looked at it.
            self._dispatcher.tasks.put(partial(self._notify, [callback]))
        return self

    def __repr__(self) -> str:
        deleted = 'DELETED: ' if self.deleted else ''
        return f'{deleted}zc.zk.{type(self).__name__}({self.path})'

    def __hash__(self) -> int:
        return id(self)

    def refresh(self) -> None:
        """Find and read the node again, and call callbacks if it differs."""
        with self._lock:
            before = self._version
            try:
                self._load()
            except ABSENT:
                pass
            except ConnectionClosedError:
                return
            except KazooException as error:
                logger.error('%r: %s %s', self, type(error).__name__, error)
                return
            changed = before != self._version
        if changed:
            self._notify()

    def node_changed(self, event: WatchedEvent) -> None:
        """Something happened to our node, or to one that leads to it."""
        if (event.type in MOVE_EVENTS or event.type == self.event
                or event.path != self.real_path):
            self.refresh()

    # For subclasses:

    def _empty(self) -> Any:
        raise NotImplementedError

    def _fetch(self) -> tuple[Any, tuple[Any, ...]]:
        """The data, and what differs with every change of them."""
        raise NotImplementedError

    def _set_data(self, data: Any) -> None:
        self.data = data

    # For ourselves:

    def _load(self) -> None:
        with self._lock:
            try:
                self.real_path = self._resolve()
                data, version = self._fetch()
            except ABSENT:
                self.deleted = True
                self._version = ()
                self._set_data(self._empty())
                raise
            self.deleted = False
            self._version = (self.real_path, *version)
            self._set_data(data)

    def _resolve(self) -> str:
        asked: set[str] = set()

        def watching(read: Callable[[str, bool], Any]) -> Callable[
                [str], Any]:
            def read_watched(path: str) -> Any:
                if self.watch:
                    asked.add(path)
                    self._dispatcher.add(path, self)
                return read(path, self.watch)
            return read_watched

        get = watching(self._dispatcher.get)
        try:
            return paths.resolve(self.path, watching(self._dispatcher.exists),
                                 lambda path: decode(get(path)[0], path))
        finally:
            self._dispatcher.discard(self._watched - asked, self)
            self._watched = asked

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
    """The names of a node's children, in alphabetical order."""

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
        return sorted(names), (stat.czxid, stat.pzxid)


def _accepts_no_arguments(callback: Callable[..., Any]) -> bool:
    """Whether a function can be called without arguments."""
    try:
        inspect.signature(callback).bind()
    except (TypeError, ValueError):
        return False
    return True
