"""A kazoo client that keeps its thread and its secrets, and notices forks."""
from __future__ import annotations

import os
from collections import deque
from typing import Any

from kazoo.client import KazooClient
from kazoo.protocol.connection import _SESSION_EXPIRED
from kazoo.protocol.serialization import Create
from kazoo.protocol.serialization import Create2
from zc.zk.connection.frames import SessionPassword
from zc.zk.connection.loop import FORGET_SESSION
from zc.zk.connection.loop import ConnectionLoop
from zc.zk.errors import UsedAfterFork

#: How many of the last paths at which nodes were asked for are remembered.
MAX_ASKED_FOR = 1000

#: The flag of a sequential node, and the number of digits that ZooKeeper adds
#: to its path: see CreateMode in ZooKeeper's source.
SEQUENTIAL = 2
SEQUENCE_LENGTH = 10


class SessionClient(KazooClient):
    """A client whose thread ends only with `stop`; see `ConnectionLoop`.

    After a fork, the child has the descriptor of the parent's connection,
    but none of its threads. There all requests raise `UsedAfterFork`, and
    `stop` and `close` leave the parent's connection alone.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pid = os.getpid()
        # The last paths at which nodes were asked for, and their flags.
        self._asked_for: deque[tuple[str, int]] = deque(maxlen=MAX_ASKED_FOR)
        super().__init__(*args, **options)
        self._connection = ConnectionLoop(self, self._conn_retry.copy(),
                                          logger=self.logger)

    @property
    def _session_passwd(self) -> bytes:
        """The session's password, which kazoo sets and reads."""
        return self._hidden_passwd

    @_session_passwd.setter
    def _session_passwd(self, password: bytes) -> None:
        self._hidden_passwd = SessionPassword(password)

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that made the client."""
        return self._pid != os.getpid()

    def is_alive(self) -> bool:
        """Return whether the threads run that `start_async` has started."""
        threads = [self._connection._connection_routine,
                   *self.handler._workers]
        return not self.is_forked and all(
            thread is not None and thread.is_alive() for thread in threads)

    @property
    def has_ended_session(self) -> bool:
        """Whether a server has confirmed that `stop` has ended the session."""
        return self._connection.has_ended_session

    def _call(self, request: Any, async_object: Any) -> Any:
        """Send a request: all of kazoo's methods come here."""
        if self.is_forked:
            async_object.set_exception(UsedAfterFork(self._pid))
            return False
        for each in getattr(request, 'operations', (request,)):
            if isinstance(each, Create | Create2):
                self._asked_for.append((each.path, each.flags))
        return super()._call(request, async_object)

    def has_asked_for(self, path: str) -> bool:
        """Return whether one of the last requests was for a node at `path`."""
        path = self.chroot + path
        return any(
            path == asked if not flags & SEQUENTIAL
            else path[:-SEQUENCE_LENGTH] == asked
            for asked, flags in self._asked_for.copy())

    def stop(self) -> None:
        """End the session; in a forked child, do nothing."""
        if not self.is_forked:
            super().stop()

    def close(self) -> None:
        """Free everything; in a forked child, only its own descriptors."""
        connection = self._connection
        if not self.is_forked:
            super().close()
            return
        for end in (connection._socket, connection._read_sock,
                    connection._write_sock):
            if end is not None:
                end.close()


def forget_session(client: KazooClient) -> None:
    """Have a client begin a new session, as if the old one had expired.

    The server keeps the old one until its time-out. A `SessionClient` that
    does so again and again pauses in between.
    """
    is_ours = isinstance(client, SessionClient)
    client._call(FORGET_SESSION if is_ours else _SESSION_EXPIRED,
                 client.handler.async_result())
