"""The event loop: what happens on the connections, and what follows.

The leader, the thread that takes a turn of it, may be another each time; see
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
from typing import TypeVar

from zope.server.body import PendingBody
from zope.server.connection import READABLE
from zope.server.connection import Connection
from zope.server.poller import GONE
from zope.server.poller import READ
from zope.server.poller import WRITE
from zope.server.poller import Waker
from zope.server.shared import SharedState

logger = logging.getLogger('zope.server')

T = TypeVar('T')

# How often all connections are checked for what takes too long.
SWEEP_S = 1.0
# The longest wait for events while no connection is accepted, and while bodies
# wait for memory.
WHILE_PAUSED_S = 0.05
WHILE_WAITING_S = 0.005
ACCEPTS_A_TURN = 64
# No further connection can be accepted for the moment, accept(2).
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Accepting pauses for this long then.
PAUSE_S = 0.25
# Between two warnings that say the same.
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


def safely(connection: Connection, function: Callable[..., T],
           *arguments: Any) -> T | None:
    """Return what a connection's function returns; None when it has failed.

    The connection is then closed, and its request given up.
    """
    try:
        return function(*arguments)
    except BaseException:  # noqa: BLE001 (threads go on)
        # SystemExit, too, as from a filter of logging.
        give_up(connection)
        return None


def give_up(connection: Connection) -> None:
    """Log the exception that is being handled, and close its connection."""
    report(CLOSED, connection)
    connection.give_up()


class Acceptor:
    """Accepts connections, and pauses while there is no room.

    While it pauses, new connections stay in the listen queue, and the
    connections that have been idle longest are closed.

    Accepted connections are added to `connections`, by descriptor.
    `make_connection` gets a socket and the peer's address.
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
        """Close idle connections, the oldest first."""
        now = self._shared.now
        idle = [connection for connection in list(self._connections.values())
                if connection.is_idle and now - connection.since > SPARED_S
                and not connection.output.unacknowledged()]
        idle.sort(key=lambda connection: connection.since)
        for connection in idle[:ACCEPTS_A_TURN]:
            connection.close()

    def accept(self) -> list[Connection]:
        """Accept and return new connections.

        Afterwards `is_exhausted` says whether the listen queue is empty.
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
                    # That connection is gone already, accept(2); try the next.
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
    """Polls, a turn at a time; it is the `Scheduler` of its connections.

    `connections` has the open connections by descriptor.  Three queues have
    some of them: `ready` for a thread of the pool to be served, `again` for
    another turn without an event, `waiting` (with their bodies) for memory.
    `past_requests` counts the requests of closed connections, `past_skipped`
    those of them that were dropped as their clients had gone.
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
        self.past_skipped = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._next_sweep = 0.0
        self._stood_still = False
        # What is left of a turn.
        self._rest: Iterator[tuple[int, int]] | None = None
        self._sources: list[int] = []
        # There may be memory for more of the bodies that wait.
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
        """Schedule `function` on the leader's thread; return at once."""
        self._calls.append(function)
        self.waker.wake()

    # The scheduler of the connections; for any thread.

    def wake(self) -> None:
        """End the leader's wait for events."""
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
            self.past_skipped += connection.skipped
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
            # Only the leader makes a connection busy: no lock is needed yet.
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
                give_up(connection)
        self._rest = None
        # Connections are accepted last: a new connection may get the
        # descriptor of a closed one of which an event was still to come.
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
        """Note events of a busy connection; return whether it is idle now."""
        with self.shared.lock:
            if not connection.is_busy:
                return True
            connection.events |= events & READABLE
        if events & GONE:
            connection.output.abort()
        if not (events & WRITE and connection.output.pending):
            return False
        connection.flush()
        # Its thread may have left the rest to the leader, and this was all.
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
        """Handle the queue `again`; return the `grace` of a request, or 0."""
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
        """Begin the bodies for which there is memory now, in their order.

        Return the `grace` of the first that is complete, or 0.
        """
        waiting = self.waiting
        while waiting:
            connection, body = waiting[0]
            if connection.is_busy:
                # The thread that has queued it is not done with it.
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
            # The process was stopped, or starved.  What clients have sent
            # meanwhile is to be read before they are judged.
            return
        for connection in list(self.connections.values()):
            if not connection.is_busy and safely(
                    connection, connection.check, shared.now):
                self.ready.append(connection)
        shared.buffer_pool.trim()
        if self.acceptor.is_paused:
            self.acceptor.make_room()
            self.acceptor.resume()
