"""A tree that is read again whenever anything has changed in ZooKeeper.

Each answer of ZooKeeper has the zxid of the last transaction that its server
has applied (ReplyHeader in ZooKeeper's jute protocol). One small request tells
by that whether anything has changed; only then is the tree read. There are no
watches: none can be lost, and a tree of any size costs nothing while it rests.
"""
from __future__ import annotations

import time

from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import OperationTimeoutError
from kazoo.exceptions import SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from zc.zk.client import ZooKeeper
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node

#: The longest time for the answer that tells the zxid.
ANSWER_S = 2.0

#: What ZooKeeper being away looks like to a request.
AWAY = (ConnectionClosedError, ConnectionLoss, OperationTimeoutError,
        SessionExpiredError, KazooTimeoutError)


class LiveTree:
    """The node at a path, with all below it, as of the last `look`.

    `tree` is the node with its Stats, and None while there is no such node.
    `stale_since` is None if the last look was answered; else the time of the
    first one that was not, in seconds since the epoch. The tree stays as it
    was then. `looks` is the number of times that the tree was read.

    Links in the path are not followed. `answer_s` is how long ZooKeeper may
    take to tell whether anything has changed, in seconds. A LiveTree may be
    used by one thread at a time.
    """

    def __init__(self, zk: ZooKeeper, path: str = '/',
                 answer_s: float = ANSWER_S) -> None:
        self.path = path
        self.tree: Node | None = None
        self.stale_since: float | None = None
        self.looks = 0
        self._client = zk.client
        self._answer_s = answer_s
        self._zxid: int | None = None

    def look(self) -> bool:
        """Look whether anything has changed; if so, read the tree anew.

        Return whether it was read. The former tree is not changed. Nodes
        that may not be read are marked as the reader marks them; only the
        top one raises NoAuthError.
        """
        try:
            self._client.exists_async('/').get(timeout=self._answer_s)
            zxid = self._client.last_zxid
            is_changed = zxid != self._zxid
            if is_changed:
                self.tree = self._read()
                self._zxid = zxid
                self.looks += 1
        except AWAY:
            if self.stale_since is None:
                self.stale_since = time.time()
            return False
        self.stale_since = None
        return is_changed

    def _read(self) -> Node | None:
        try:
            return read_tree(self._client, self.path, stat=True,
                             skip_unreadable=True)
        except NoNodeError:
            return None
