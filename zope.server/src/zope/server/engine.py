"""The whole server behind a listening socket: start, drain and close."""
from __future__ import annotations

import dataclasses
import logging
import socket
import time
from collections.abc import Callable

from zope.server.connection import LINGERING
from zope.server.connection import Connection
from zope.server.form import form
from zope.server.loop import Loop
from zope.server.shared import SharedState
from zope.server.threadpool import ThreadPool

logger = logging.getLogger('zope.server')

# A client that has just sent a request must be heard before its connection
# is closed for being idle.
GRACE_S = 1.0
# A client that has had its last response for this long has read it.
LINGER_S = 0.3
# Between two looks at what is left of a drain.
STEP_S = 0.01
# For this long `close` waits for threads that are in the application.
JOIN_S = 1.0


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What a server is doing at the moment.

    `started` is as of time.time(), 0 before `start`.  `requests` counts the
    answered requests.  `in_flight` requests are complete and not answered
    yet; `queued` of them wait for a thread.  `busy_threads` of the `threads`
    are at work.  `connections` are open.  `skipped` requests were dropped, as
    their clients had gone before a thread was free.  `removed_fields` of
    requests, such as X-Forwarded-For, came from peers that are not believed.
    `form` is ``interpreted`` or ``compiled``, see `zope.server.form`.
    """

    started: float
    requests: int
    in_flight: int
    queued: int
    busy_threads: int
    threads: int
    connections: int
    skipped: int
    removed_fields: int
    form: str


class Engine:
    """Serves on a listening socket, which its owner closes.

    `backlog` is the length of that socket's listen queue.  `loop` and
    `threads` are its parts.
    """

    def __init__(self, shared: SharedState, sock: socket.socket,
                 connection_class: type[Connection] = Connection,
                 name: str = 'zope.server', backlog: int = 1024) -> None:
        self.shared = shared
        self._backlog = backlog
        self._late = 0
        self.loop = Loop(shared, sock, connection_class)
        self.threads = ThreadPool(self.loop, shared.settings.threads, name)
        self._started = 0.0
        self._is_closed = False

    def start(self) -> None:
        """Start the threads and return."""
        self.loop.open()
        self._started = time.time()
        self.threads.start()

    def connections(self) -> list[Connection]:
        """Return the open connections."""
        with self.shared.lock:
            return list(self.loop.connections.values())

    def statistics(self) -> Statistics:
        """Return counts of requests, threads and connections."""
        shared = self.shared
        with shared.lock:
            connections = list(self.loop.connections.values())
            requests = self.loop.past_requests
            skipped = self.loop.past_skipped
        busy = sum(connection.is_busy for connection in connections)
        queued = min(busy, self.threads.queued)
        return Statistics(
            started=self._started,
            requests=requests + sum(found.requests for found in connections),
            in_flight=busy,
            queued=queued,
            busy_threads=min(busy - queued, shared.settings.threads),
            threads=shared.settings.threads,
            connections=len(connections),
            skipped=skipped + sum(found.skipped for found in connections),
            removed_fields=0 if shared.proxies is None else (
                shared.proxies.removed),
            form=form())

    def call(self, function: Callable[[], object]) -> None:
        """Schedule `function` on the leader's thread; return at once."""
        self.loop.call(function)

    def drain(self, timeout: float, close_listener: Callable[[], None],
              should_abort: Callable[[], bool] = lambda: False) -> int:
        """Stop accepting and finish; return how many requests were cut.

        `close_listener` is called once all connections in the listen queue
        are accepted.  The drain ends after `timeout` seconds, or as soon as
        `should_abort` returns true.
        """
        if not self._started or self._is_closed:
            close_listener()
            return 0
        began = time.monotonic()
        deadline = began + timeout
        self.shared.is_draining = True
        grace_ends = min(began + GRACE_S, deadline)
        while time.monotonic() < deadline and not should_abort():
            self.loop.call(lambda: self._stop_accepting(close_listener))
            if time.monotonic() > grace_ends:
                self.loop.call(self._close_idle)
            if self.loop.acceptor.is_closed and not self.loop.connections:
                return 0
            time.sleep(STEP_S)
        return self._cut()

    def _stop_accepting(self, close_listener: Callable[[], None]) -> None:
        if self.loop.acceptor.is_closed:
            return
        self._late += self.loop.accept()
        # Clients may come as fast as they are accepted.  By then all clients
        # are here that waited when the stop began.
        if self.loop.acceptor.is_exhausted or self._late > self._backlog:
            self.loop.acceptor.close()
            close_listener()

    def _close_idle(self) -> None:
        now = time.monotonic()
        for connection in list(self.loop.connections.values()):
            # On a busy machine more than the grace can pass before a request
            # that has come is read.  To close would send a reset.
            if (connection.is_idle and now - connection.since > GRACE_S
                    and not connection.has_more()
                    or connection.state == LINGERING
                    and connection.is_read(now, LINGER_S)):
                connection.close()

    def _cut(self) -> int:
        cut = 0
        self.shared.is_cutting = True
        for connection in list(self.loop.connections.values()):
            if connection.is_idle or connection.state == LINGERING:
                continue
            cut += 1
            logger.warning('%s is cut off after %.1f s, as it has not ended'
                           ' in time', connection, connection.age)
            connection.output.abort()
        return cut

    def close(self) -> None:
        """End the threads and close every connection; may be repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        stuck = self.threads.stop(JOIN_S)
        if stuck:
            logger.warning('%d threads are still in the application', stuck)
        self.shared.flusher.close()
        left = self.threads.leftover()
        for connection in list(self.loop.connections.values()):
            if connection.is_busy and stuck and connection not in left:
                connection.cut()
            else:
                connection.close()
        self.loop.acceptor.close()
        if self._started:
            self.loop.close()
