"""Follow a tree while somebody looks, and keep a mailbox for each viewer."""
from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from kazoo.exceptions import KazooException
from zc.zk.live.events import events
from zc.zk.live.text import Show
from zc.zk.live.tree import LiveTree
from zc.zk.printable import printable
from zc.zk.tree import Node
from zc.zk.view.messages import events_message
from zc.zk.view.messages import tree_message

logger = logging.getLogger('zc.zk.view')

#: The time between two looks at ZooKeeper.
INTERVAL_S = 0.1

#: The most that waits for one viewer. One that reads too slowly for it gets
#: the whole tree anew.
MAILBOX_BYTES = 2 ** 20

#: In the place of the tree as JSON: it has to be made when it is needed.
STALE = b'stale'

#: The most viewers at a time.
MAX_VIEWERS = 20


#: Returns what else viewers are told, of a tree and its path.
Extra = Callable[[Node | None, str], str]


class TooManyViewers(Exception):
    """There are MAX_VIEWERS already."""


class Viewer:
    """What waits for one viewer: pairs of an event's name and its JSON."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, bytes]] = deque()
        self.size = 0
        self.must_restart = True

    def put(self, name: str, data: bytes) -> None:
        """Add an event, or have the viewer start anew if it is too slow."""
        self.size += len(data)
        if self.must_restart or self.size > MAILBOX_BYTES:
            self.waiting.clear()
            self.size = 0
            self.must_restart = True
        else:
            self.waiting.append((name, data))


class Feed:
    """Reads `tree` in a thread while there are viewers.

    `extras` are functions, by the name of their events, that return what else
    viewers are told, as JSON; '' is nothing. Each gets the tree and its path.

    Without viewers, ZooKeeper is asked nothing.
    """

    def __init__(self, tree: LiveTree, show: Show,
                 interval_s: float = INTERVAL_S,
                 extras: dict[str, Extra] | None = None) -> None:
        self._tree = tree
        self._show = show
        self._interval_s = interval_s
        self._extras = extras or {}
        self._changed = threading.Condition()
        self._viewers: list[Viewer] = []
        self._whole = b''
        self._last: dict[str, bytes] = {}
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._run, name='zc.zk.view.feed', daemon=True)
        self._thread.start()

    @property
    def tree(self) -> Node | None:
        """The tree as of the last look; None when there is none."""
        return self._tree.tree

    def join(self) -> Viewer:
        """Add a viewer; raise TooManyViewers when there are enough."""
        viewer = Viewer()
        with self._changed:
            if len(self._viewers) >= MAX_VIEWERS:
                raise TooManyViewers
            if not self._viewers:
                # What has happened while nobody looked is no news.
                self._whole = b''
            self._viewers.append(viewer)
            self._changed.notify_all()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        with self._changed:
            self._viewers.remove(viewer)

    def take(self, viewer: Viewer, timeout_s: float
             ) -> list[tuple[str, bytes]] | None:
        """Wait for what a viewer is to be told, and return it.

        Return [] when there is nothing within `timeout_s`, and None when the
        feed is closed.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or viewer.waiting
                or viewer.must_restart and self._whole, timeout_s)
            if self._is_closed:
                return None
            if viewer.must_restart and self._whole:
                viewer.must_restart = False
                viewer.waiting.clear()
                viewer.size = 0
                return [*self._last.items(), ('tree', self._whole_now())]
            found = list(viewer.waiting)
            viewer.waiting.clear()
            viewer.size = 0
            return found

    def close(self) -> None:
        """End the thread, and all waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_closed or self._viewers)
                if self._is_closed:
                    return
            trouble = None
            try:
                self._look()
            except KazooException as error:
                trouble = f'{type(error).__name__} {printable(error)}'
            except Exception:
                logger.exception('the view cannot read the tree')
                trouble = 'The tree cannot be read; the log says why.'
            since = self._tree.stale_since
            self._tell('state', json.dumps({
                'away': None if since is None else round(since * 1000),
                'trouble': trouble}))
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed,
                                       self._interval_s)

    def _look(self) -> None:
        old = self._tree.tree
        if self._tree.look():
            message = events_message(
                events(old, self._tree.tree, self._tree.path), time.time(),
                self._show).encode()
            with self._changed:
                if message and self._whole:
                    for viewer in self._viewers:
                        viewer.put('events', message)
                # Made when a viewer needs it.
                self._whole = STALE
                self._changed.notify_all()
        elif not self._whole and self._tree.stale_since is None:
            with self._changed:
                self._whole = STALE
                self._changed.notify_all()
        for name, extra in self._extras.items():
            self._tell(name, extra(self._tree.tree, self._tree.path))

    def _whole_now(self) -> bytes:
        if self._whole is STALE:
            self._whole = tree_message(self._tree.tree, self._tree.path,
                                       self._show).encode()
        return self._whole

    def _tell(self, name: str, text: str) -> None:
        """Tell all viewers, unless it is what they were told last."""
        data = text.encode()
        if not data or self._last.get(name) == data:
            return
        with self._changed:
            self._last[name] = data
            for viewer in self._viewers:
                viewer.put(name, data)
            self._changed.notify_all()
