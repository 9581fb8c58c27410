"""The event loop: one thread that waits for all sockets of a listener.

It uses the standard library's selectors, not asyncio: the protocol is small,
commands are functions that may block and so need threads in any case, and the
import of asyncio takes longer than the import of all of zc.monitor.
"""
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from zc.monitor.jobs import Jobs
from zc.monitor.limits import Limits
from zc.monitor.session import ClientSession
from zc.monitor.sockets import BoundSocket

logger = logging.getLogger('zc.monitor')

ACCEPTS_PER_TURN = 32
ACCEPT_PAUSE_S = 0.5


class Waker:
    """A socket pair that ends the loop's ``select`` from any thread."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._lock = threading.Lock()
        self._closed = False

    def wake(self) -> None:
        """End the loop's ``select``; do nothing after `close`."""
        with self._lock:  # A closed descriptor may be reused by now.
            if not self._closed:
                try:
                    self._writer.send(b'\0')
                except BlockingIOError:  # Full: the loop wakes anyway.
                    pass

    def clear(self) -> None:
        """Read the wake-ups so far, so that the next ``select`` waits."""
        try:
            while self.reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close both ends."""
        with self._lock:
            self.close_after_fork()

    def close_after_fork(self) -> None:
        """Close both ends without the lock, in a forked child."""
        self._closed = True
        self._writer.close()
        self.reader.close()


class ListenerLoop:
    """Serve one listening socket; a thread calls `run`."""

    def __init__(self, bound: BoundSocket, limits: Limits) -> None:
        self._bound = bound
        self._limits = limits
        self._waker = Waker()
        self._selector = selectors.DefaultSelector()
        self._sessions: set[ClientSession] = set()
        self._calls: deque[Callable[[], None]] = deque()
        self._accept_at: float | None = None
        self._is_refusing = False
        self._stop_at: float | None = None
        self.jobs = Jobs(limits, self.post, self._command_answered)
        #: Set once the listening socket is closed.
        self.has_stopped_listening = threading.Event()
        self._selector.register(
            self._waker.reader, selectors.EVENT_READ, self._handle_wakeup)
        self._selector.register(
            bound.sock, selectors.EVENT_READ, self._accept)

    def post(self, call: Callable[[], None]) -> None:
        """Schedule `call` in the loop's thread; any thread may call this."""
        self._calls.append(call)
        self._waker.wake()

    def stop(self) -> None:
        """Stop listening, refuse waiting commands, and make `run` return.

        Runs in the loop's thread: `post` it. `run` returns when the running
        commands have ended, after `Limits.grace` at the latest.
        """
        if self._stop_at is not None:
            return
        self._stop_at = time.monotonic() + self._limits.grace
        if self._accept_at is None:
            self._selector.unregister(self._bound.sock)
        self._accept_at = None
        self._bound.close()
        self.has_stopped_listening.set()
        for session in list(self._sessions):
            session.end()
            self._update(session)
        self.jobs.refuse_waiting()

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            while not self._is_done():
                self._turn()
        except Exception:
            logger.exception('The monitor server has failed')
        finally:
            self.release()

    def release(self) -> None:
        """Close all sockets and the selector."""
        self._bound.close()
        self.has_stopped_listening.set()
        for session in list(self._sessions):
            session.close()
        self._sessions.clear()
        self._selector.close()
        self._waker.close()

    def close_after_fork(self) -> None:
        """Close all descriptors in a forked child, which has no loop thread.

        Unregister, shut down and remove nothing: the parent process shares
        the selector and the connections. Take no lock: a thread that exists
        in the parent only may have held it at the fork.
        """
        self._bound.close()
        self._selector.close()
        self._waker.close_after_fork()
        for session in self._sessions:
            session.sock.close()

    # One turn.

    def _is_done(self) -> bool:
        return self._stop_at is not None and (
            not self._sessions and not self.jobs.threads()
            or time.monotonic() >= self._stop_at)

    def _turn(self) -> None:
        for key, events in self._selector.select(self._select_timeout()):
            key.data(events)
        while self._calls:
            self._calls.popleft()()
        self._expire(time.monotonic())

    def _select_timeout(self) -> float | None:
        """Return the seconds to wait for the next event; None: no limit."""
        deadlines = [session.deadline() for session in self._sessions]
        deadlines += [
            self.jobs.deadline(), self._stop_at, self._accept_at]
        known = [deadline for deadline in deadlines if deadline is not None]
        if not known:
            return None
        return max(0.0, min(known) - time.monotonic())

    def _expire(self, now: float) -> None:
        for session in list(self._sessions):
            deadline = session.deadline()
            if deadline is not None and deadline <= now:
                session.expire()
                self._update(session)
        self.jobs.expire(now)
        if self._accept_at is not None and self._accept_at <= now:
            self._accept_at = None
            self._selector.register(
                self._bound.sock, selectors.EVENT_READ, self._accept)

    def _handle_wakeup(self, _events: int) -> None:
        self._waker.clear()

    # Connections.

    def _accept(self, _events: int) -> None:
        for _number in range(ACCEPTS_PER_TURN):
            try:
                sock, _peer = self._bound.sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # The client has closed it already.
            except OSError as error:
                self._pause_accepting(error)
                return
            self._is_refusing = False
            self._add_session(sock)

    def _pause_accepting(self, error: OSError) -> None:
        """Accept again after `ACCEPT_PAUSE_S`; the connection stays queued.

        The usual reason is that the process has no file descriptors left.
        """
        if not self._is_refusing:  # One log record for each such time.
            self._is_refusing = True
            logger.warning(
                'Cannot accept connections for now: %s', error.strerror)
        self._selector.unregister(self._bound.sock)
        self._accept_at = time.monotonic() + ACCEPT_PAUSE_S

    def _add_session(self, sock: socket.socket) -> None:
        limit = self._limits.connections
        if len(self._sessions) >= 2 * limit:
            sock.close()  # Without the line, which needs a session.
            return
        session = ClientSession(
            sock, self._limits, self.jobs.submit, self._wake, self._refusal)
        _set_options(sock)
        self._sessions.add(session)
        if len(self._sessions) > limit:
            session.end(
                f'Too many connections: {limit} are open. Try again later.')
        self._update(session)

    def _refusal(self, session: ClientSession) -> str | None:
        """Return why one more session may not stay; None if it may.

        Clients of other machines leave room for those of this one.
        """
        staying = [other for other in self._sessions if other.stays]
        remote = sum(not other.peer.is_local for other in staying)
        limits = self._limits
        if len(staying) >= limits.interactive or (
                not session.peer.is_local
                and remote >= limits.interactive_remote):
            return ('Too many interactive sessions:'
                    f' {len(staying)} are open. Try again later.')
        return None

    def _ready(self, session: ClientSession, events: int) -> None:
        session.ready(events)
        self._update(session)

    def _wake(self, session: ClientSession) -> None:
        self.post(partial(self._note_output, session))

    def _note_output(self, session: ClientSession) -> None:
        session.note_output()
        self._update(session)

    def _command_answered(self, session: ClientSession, result: Any) -> None:
        session.answered(result)
        self._update(session)

    def _update(self, session: ClientSession) -> None:
        """Watch the events that the session needs; remove it if finished."""
        if session not in self._sessions:
            return
        if self._stop_at is not None and not (
                session.running or session.connection.is_pending()):
            session.finished = True  # No lingering at a stop.
        try:
            self._watch(session)
        except OSError:  # The system can watch no more sockets.
            logger.exception('Cannot serve a connection')
            session.finished = True
        if session.finished:
            self._sessions.discard(session)
            session.close()

    def _watch(self, session: ClientSession) -> None:
        events = 0 if session.finished else session.interest()
        key = self._selector.get_map().get(session.sock)
        if key is not None and not events:
            self._selector.unregister(session.sock)
        elif key is not None and key.events != events:
            self._selector.modify(session.sock, events, key.data)
        elif key is None and events:
            self._selector.register(
                session.sock, events, partial(self._ready, session))


def _set_options(sock: socket.socket) -> None:
    """Detect dead peers (keepalive), send short answers at once (no delay)."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # Some systems refuse once the peer has gone.
            pass
