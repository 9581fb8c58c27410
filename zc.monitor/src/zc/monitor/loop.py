"""The loop: one thread that waits for all sockets of a listener.

It is a loop over the standard library's selectors and not asyncio: there is
one small protocol, commands are plain functions that may block and that run
in threads in either case, and importing asyncio takes longer than importing
all of this package.
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
from zc.monitor.session import Session
from zc.monitor.sockets import Bound

logger = logging.getLogger('zc.monitor')

ACCEPT_AT_ONCE = 32
ACCEPT_PAUSE = 0.5


class Waker:
    """A way to end another thread's ``select``."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._lock = threading.Lock()
        self._closed = False

    def wake(self) -> None:
        """End the select; harmless after `close`."""
        with self._lock:  # A closed number may be somebody else's by now.
            if not self._closed:
                try:
                    self._writer.send(b'\0')
                except BlockingIOError:  # Enough to wake it.
                    pass

    def clear(self) -> None:
        """Forget the wake-ups so far."""
        try:
            while self.reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close both ends."""
        with self._lock:
            self.disown()

    def disown(self) -> None:
        """Close both ends, where nobody else can be using them."""
        self._closed = True
        self._writer.close()
        self.reader.close()


class Loop:
    """Serves one listening socket: ``run`` is its thread."""

    def __init__(self, bound: Bound, limits: Limits) -> None:
        self._bound = bound
        self._limits = limits
        self._waker = Waker()
        self._selector = selectors.DefaultSelector()
        self._sessions: set[Session] = set()
        self._calls: deque[Callable[[], None]] = deque()
        self._accept_at: float | None = None
        self._is_refusing = False
        self._stop_at: float | None = None
        self.jobs = Jobs(limits, self.post, self._answered)
        #: Set when the loop has stopped listening.
        self.deaf = threading.Event()
        self._selector.register(
            self._waker.reader, selectors.EVENT_READ, self._woken)
        self._selector.register(
            bound.sock, selectors.EVENT_READ, self._accept)

    def post(self, call: Callable[[], None]) -> None:
        """Have something called in the loop's thread, from any thread."""
        self._calls.append(call)
        self._waker.wake()

    def stop(self) -> None:
        """Stop listening, end what is running, then return from `run`.

        To be posted. Commands get the limits' ``grace`` to end.
        """
        if self._stop_at is not None:
            return
        self._stop_at = time.monotonic() + self._limits.grace
        if self._accept_at is None:
            self._selector.unregister(self._bound.sock)
        self._accept_at = None
        self._bound.close()
        self.deaf.set()
        for session in list(self._sessions):
            session.end()
            self._update(session)
        self.jobs.forget_waiting()

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
        """Close everything that is open."""
        self._bound.close()
        self.deaf.set()
        for session in list(self._sessions):
            session.close()
        self._sessions.clear()
        self._selector.close()
        self._waker.close()

    def disown(self) -> None:
        """Close everything in a forked child, which doesn't have our thread.

        Nothing is unregistered, shut down or removed: the parent would feel
        it. No lock is taken: a thread that the child doesn't have may have
        held it.
        """
        self._bound.close()
        self._selector.close()
        self._waker.disown()
        for session in self._sessions:
            session.sock.close()

    # One turn.

    def _is_done(self) -> bool:
        return self._stop_at is not None and (
            not self._sessions and not self.jobs.threads()
            or time.monotonic() >= self._stop_at)

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            key.data(events)
        while self._calls:
            self._calls.popleft()()
        self._expire(time.monotonic())

    def _patience(self) -> float | None:
        """Return how long to wait, at most, for the next event."""
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

    def _woken(self, _events: int) -> None:
        self._waker.clear()

    # Connections.

    def _accept(self, _events: int) -> None:
        for _number in range(ACCEPT_AT_ONCE):
            try:
                sock, _peer = self._bound.sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # One that has gone again.
            except OSError as error:
                self._pause(error)
                return
            self._is_refusing = False
            self._welcome(sock)

    def _pause(self, error: OSError) -> None:
        """Try again later: the connection is still there.

        Mostly, the process has no file descriptors left.
        """
        if not self._is_refusing:  # Once is enough for the log.
            self._is_refusing = True
            logger.warning(
                'Cannot accept connections for now: %s', error.strerror)
        self._selector.unregister(self._bound.sock)
        self._accept_at = time.monotonic() + ACCEPT_PAUSE

    def _welcome(self, sock: socket.socket) -> None:
        limit = self._limits.connections
        if len(self._sessions) >= 2 * limit:
            sock.close()  # Those that are being told are too many too.
            return
        session = Session(sock, self._limits, self.jobs.submit, self._wake)
        _tune(sock)
        self._sessions.add(session)
        if len(self._sessions) > limit:
            session.end(
                f'Too many connections: {limit} are open. Try again later.')
        self._update(session)

    def _ready(self, session: Session, events: int) -> None:
        session.ready(events)
        self._update(session)

    def _wake(self, session: Session) -> None:
        self.post(partial(self._touched, session))

    def _touched(self, session: Session) -> None:
        session.touched()
        self._update(session)

    def _answered(self, session: Session, result: Any) -> None:
        session.answered(result)
        self._update(session)

    def _update(self, session: Session) -> None:
        """Wait for what the session waits for, or part with it."""
        if session not in self._sessions:
            return
        if self._stop_at is not None and not (
                session.running or session.connection.is_pending()):
            session.finished = True  # No lingering now.
        try:
            self._watch(session)
        except OSError:  # The system can't watch any more sockets.
            logger.exception('Cannot serve a connection')
            session.finished = True
        if session.finished:
            self._sessions.discard(session)
            session.close()

    def _watch(self, session: Session) -> None:
        events = 0 if session.finished else session.interest()
        key = self._selector.get_map().get(session.sock)
        if key is not None and not events:
            self._selector.unregister(session.sock)
        elif key is not None and key.events != events:
            self._selector.modify(session.sock, events, key.data)
        elif key is None and events:
            self._selector.register(
                session.sock, events, partial(self._ready, session))


def _tune(sock: socket.socket) -> None:
    """Notice dead peers, and send short answers at once."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # Some systems refuse when the peer has gone.
            pass
