"""The event loop: what happens on the connections, and what follows.

Any thread may take a turn of the loop, but only one at a time; see
`threadpool`.
"""
from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from zope.server.body import PendingBody
from zope.server.connection import READABLE
from zope.server.connection import Connection
from zope.server.poller import GONE
from zope.server.poller import READ
from zope.server.poller import WRITE
from zope.server.poller import Waker
from zope.server.shared import SharedState

logger = logging.getLogger('zope.server')

SWEEP_S = 1.0
WHILE_PAUSED_S = 0.05
WHILE_WAITING_S = 0.005
ACCEPTS_A_TURN = 64
# No further connection can be accepted for the moment, accept(2).
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE_S = 0.25
# Between two lines of the log that say the same.
QUIET_S = 60.0
# An idle connection that makes room for another is at least so old.
SPARED_S = 1.0
CLOSED = '%s is closed: this must not happen'


def report(text: str, *arguments: Any) -> None:
    """Log the exception that is being handled, if that can be done.

    A logging filter or handler may fail each time, and threads must go on.
    """
    with contextlib.suppress(BaseException):
        logger.exception(text, *arguments)


def safely(connection: Connection, function: Callable[..., bool | None],
           *arguments: Any) -> bool | None:
    """Return what a connection's function returns; None when it has failed.

    The connection is then closed, and its request given up.
    """
    try:
        return function(*arguments)
    except BaseException:  # noqa: BLE001 (threads go on)
        # SystemExit, too, as from a filter of logging.
        report(CLOSED, connection)
        connection.give_up()
        return None


class Acceptor:
    """Accepts connections and pauses while there is no room.

    While it pauses, connections wait in the listen queue and the idle
    connections that have waited longest are closed.

    `connections` are the open ones by descriptor, to which it adds;
    `make_connection` makes one of a socket and the peer's address.
    """

    def __init__(self, shared: SharedState, sock: socket.socket,
                 connections: dict[int, Connection],
                 make_connection: Callable[[socket.socket, Any], Connection],
                 ) -> None:
        self._shared = shared
        self._sock = sock
        self._connections = connections
        self._make_connection = make_connection
        self._is_listening = False
        self.is_exhausted = False
        self.is_closed = False
        self._resume_at = 0.0
        self._silent_until: dict[str, float] = {}
        self.fd = sock.fileno()

    @property
    def is_paused(self) -> bool:
        """Whether connections have to wait."""
        return not self._is_listening and not self.is_closed

    def resume(self) -> None:
        """Accept again, if there is room."""
        shared = self._shared
        if (shared.now >= self._resume_at and len(self._connections)
                < shared.settings.connection_limit):
            shared.poller.add_source(self.fd)
            self._is_listening = True

    def _pause(self, seconds: float) -> None:
        shared = self._shared
        self._resume_at = shared.now + seconds
        if self._is_listening:
            shared.poller.remove_source(self.fd)
            self._is_listening = False

    def make_room(self) -> None:
        """Close idle connections, those first that have waited longest."""
        now = self._shared.now
        idle = [connection for connection in list(self._connections.values())
                if connection.is_idle and now - connection.since > SPARED_S]
        idle.sort(key=lambda connection: connection.since)
        for connection in idle[:ACCEPTS_A_TURN]:
            connection.close()

    def accept(self) -> list[Connection]:
        """Return new connections.

        `is_exhausted` then says whether the listen queue is empty.
        """
        found: list[Connection] = []
        shared = self._shared
        limit = shared.settings.connection_limit
        self.is_exhausted = False
        for _ in range(0 if self.is_closed else ACCEPTS_A_TURN):
            if len(self._connections) >= limit and not shared.is_draining:
                self._log(f'there are {limit} connections, which is the'
                          ' connection_limit; further ones have to wait')
                self._pause(0)
                break
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                self.is_exhausted = True
                break
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    # That connection is gone already; the next may not be.
                    continue
                self._log('no connection can be accepted:'
                          f' {error.strerror}')
                self._pause(PAUSE_S)
                break
            sock.setblocking(False)
            connection = self._make_connection(sock, address)
            self._connections[connection.fd] = connection
            found.append(connection)
        return found

    def _log(self, text: str) -> None:
        now = self._shared.now
        kind = text[:20]
        if now >= self._silent_until.get(kind, 0):
            self._silent_until[kind] = now + QUIET_S
            logger.warning(text)

    def close(self) -> None:
        """Accept no more."""
        if not self.is_closed:
            if self._is_listening:
                self._shared.poller.remove_source(self.fd)
            self.is_closed = True
            self._is_listening = False


class Loop:
    """Polls, a turn at a time; the `Scheduler` of its connections.

    `connections` are the open ones by descriptor.  `ready` has those that a
    thread of the pool is to serve, in their order; `again` those that want
    another turn although no event will come; `waiting` those whose bodies
    wait for memory, with these.  `past_requests` counts the requests of
    closed connections.
    """

    waker: Waker

    def __init__(self, shared: SharedState, sock: socket.socket,
                 connection_class: type[Connection]) -> None:
        self.shared = shared
        self.connections: dict[int, Connection] = {}
        self.acceptor = Acceptor(
            shared, sock, self.connections,
            lambda *accepted: connection_class(shared, self, *accepted))
        self.ready: deque[Connection] = deque()
        self.again: deque[Connection] = deque()
        self.waiting: deque[tuple[Connection, PendingBody]] = deque()
        self.past_requests = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._next_sweep = 0.0
        self._stood_still = False
        # What is left of a turn.
        self._rest: Iterator[tuple[int, int]] | None = None
        self._sources: list[int] = []
        # There may be room for more of the bodies that wait for some.
        self._may_go_on = False

    def open(self) -> None:
        """Open the poller and accept connections."""
        self.shared.open()
        self.waker = Waker()
        self.shared.poller.add_source(self.waker.fd)
        self.acceptor.resume()

    def close(self) -> None:
        """Close the poller, after `open`."""
        self.waker.close()
        self.shared.close()

    def call(self, function: Callable[[], object]) -> None:
        """Schedule `function` on the thread that polls; return at once."""
        self._calls.append(function)
        self.waker.wake()

    # The scheduler of the connections; for any thread.

    def wake(self) -> None:
        """End the wait of the thread that polls."""
        self.waker.wake()

    def come_again(self, connection: Connection) -> None:
        """Handle a connection in the next turn, without an event."""
        self.again.append(connection)
        self.waker.wake()

    def wait_for_memory(self, connection: Connection,
                        body: PendingBody) -> None:
        """Call `end_wait` with `body` each turn, until it returns true."""
        self.waiting.append((connection, body))

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is closed, and count its requests."""
        with self.shared.lock:
            self.connections.pop(connection.fd, None)
            self.past_requests += connection.requests
            connection.is_busy = False

    # A turn.

    def turn(self) -> float:
        """Wait until something happens, unless there is work already.

        A turn ends early where a large body is complete, so that it is read
        while it is in the processor's cache; the next one goes on from there,
        and only then are connections accepted and calls made.  Return the
        `grace` of that request in seconds, or 0.
        """
        shared = self.shared
        found = self._rest
        if found is None:
            wait = 0.0 if (self.ready or self.again
                           or self._may_go_on) else (
                WHILE_WAITING_S if self.waiting else
                WHILE_PAUSED_S if self.acceptor.is_paused else SWEEP_S)
            self._may_go_on = False
            found = self._rest = iter(shared.poller.poll(wait))
        shared.tick()
        connections, ready = self.connections, self.ready
        sources = self._sources
        for fd, events in found:
            connection = connections.get(fd)
            if connection is None:
                sources.append(fd)
                continue
            # Only this thread makes a connection busy, so the lock can wait.
            if connection.is_busy and not self._is_released(
                    connection, events):
                continue
            # What _handle does, at less expense.
            try:
                if connection.handle(events):
                    ready.append(connection)
                    grace = connection.grace
                    if grace:
                        return grace
            except BaseException:  # noqa: BLE001 (threads go on)
                report(CLOSED, connection)
                connection.give_up()
        self._rest = None
        # Connections are accepted last: a new one may have the descriptor of
        # one of which an event was still to come.
        while sources:
            self._source(sources.pop())
        if shared.now >= self._next_sweep:
            self._sweep()
        elif self.acceptor.is_paused:
            self.acceptor.resume()
        grace = self._again() if self.again else 0.0
        if self.waiting:
            grace += self._end_waits()
        return grace

    def _is_released(self, connection: Connection, events: int) -> bool:
        """Leave a busy connection a note; return whether it is so no more."""
        with self.shared.lock:
            if not connection.is_busy:
                return True
            connection.events |= events & READABLE
        if events & GONE:
            connection.output.abort()
        if not (events & WRITE and connection.output.pending):
            return False
        connection.flush()
        # Its thread may have left the rest to this one, and this was it.
        with self.shared.lock:
            return not connection.is_busy

    def _handle(self, connection: Connection, events: int) -> float:
        """Go on with a connection; return the `grace` if it is ready."""
        if not safely(connection, connection.handle, events):
            return 0.0
        self.ready.append(connection)
        return connection.grace

    def _source(self, fd: int) -> None:
        if fd == self.waker.fd:
            # In this order: what is called now needs no further wake-up.
            self.waker.drain()
            while self._calls:
                self._call(self._calls.popleft())
        elif fd == self.acceptor.fd:
            self.accept()

    def _call(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException:  # noqa: BLE001 (threads go on)
            report('the polling goes on after a failed call')

    def accept(self) -> int:
        """Accept connections, to be read soon; return how many."""
        found = self.acceptor.accept()
        self.again.extend(found)
        return len(found)

    def _again(self) -> float:
        """Go on with those that were not done; return a request's `grace`."""
        again = self.again
        for _ in range(len(again)):
            connection = again.popleft()
            if (not connection.is_busy
                    or self._is_released(connection, READ | WRITE)):
                grace = self._handle(connection, READ | WRITE)
                if grace:
                    return grace
        return 0.0

    def _end_waits(self) -> float:
        """Go on with the bodies for which there is room, in their order.

        Return the `grace` of the first that is complete then, or 0.
        """
        waiting = self.waiting
        while waiting:
            connection, body = waiting[0]
            if connection.is_busy:
                # A thread has just left it there, and is not done with it.
                break
            if safely(connection, connection.end_wait, body) is False:
                break
            waiting.popleft()
            grace = self._handle(connection, 0)
            if grace:
                self._may_go_on = True
                return grace
        return 0.0

    def _sweep(self) -> None:
        shared = self.shared
        stood_still = (0 < self._next_sweep < shared.now - 2 * SWEEP_S
                       and not self._stood_still)
        self._next_sweep = shared.now + SWEEP_S
        self._stood_still = stood_still
        if stood_still:
            # What clients have sent meanwhile is to be read first.
            return
        for connection in list(self.connections.values()):
            if not connection.is_busy and safely(
                    connection, connection.check, shared.now):
                self.ready.append(connection)
        shared.buffer_pool.trim()
        if self.acceptor.is_paused:
            self.acceptor.make_room()
            self.acceptor.resume()
