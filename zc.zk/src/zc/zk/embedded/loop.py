"""EventLoop: one thread that serves all connections and the clock."""
import contextlib
import logging
import queue
import selectors
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from zc.zk.embedded.connection import Connection
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import ServerError
from zc.zk.embedded.four_letter_words import Latency
from zc.zk.embedded.sessions import Session

logger = logging.getLogger('zc.zk.embedded')

#: The most connections to accept before the loop serves the others again.
ACCEPT_AT_ONCE = 100
#: The time that a connection has for its handshake, and for its close: the
#: shorter of the two.
HANDSHAKE_TICKS = 50
HANDSHAKE_S = 10.0
#: The ticks between two searches for empty containers: with the default
#: tickTime of Apache ZooKeeper its default of 60 s
#: (znode.container.checkIntervalMs, Administrator's Guide).
CONTAINER_TICKS = 30
#: The most connections that are in their handshake, or in their close.
MAX_HANDSHAKES = 1000
#: The most bytes of unfinished frames, of all connections together. Those of
#: a connection that has less than SMALL_INPUT_BYTES are not counted.
MAX_INPUT_BYTES = 64 << 20
SMALL_INPUT_BYTES = 1 << 12


class ThreadsafeCalls:
    """Functions that other threads have the loop's thread call.

    A queue, with a socket that wakes the loop's selector.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._is_closed = False

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._wakened.fileno()

    def call(self, function: Callable[[], Any]) -> Any:
        """Have the loop's thread call `function`; wait for the result.

        Return what `function` returns, raise what it raises, and raise
        ServerError when the loop has ended. Thread-safe.
        """
        future: Future[Any] = Future()
        self._queue.put((function, future))
        with contextlib.suppress(OSError):  # the loop is awake, or has ended
            self._waker.send(b'\0')
        if self._is_closed:
            self._refuse()
        return future.result()

    def answer(self) -> None:
        """Make the queued calls."""
        with contextlib.suppress(BlockingIOError):
            self._wakened.recv(1024)
        for function, future in self._waiting():
            _make(function, future)

    def answer_next(self) -> None:
        """Wait for a call, and make it."""
        _make(*self._queue.get())

    def close(self) -> None:
        """Raise ServerError for queued and later calls."""
        self._is_closed = True
        self._refuse()
        self._waker.close()
        self._wakened.close()

    def _waiting(self) -> Iterator[tuple[Callable[[], Any], Future[Any]]]:
        while True:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def _refuse(self) -> None:
        for _, future in self._waiting():
            future.set_exception(ServerError('the server does not run'))


class EventLoop:
    """Serves a database to the clients of a listening socket.

    `tick` is in milliseconds. `received` and `sent` are numbers of frames.
    Other threads may use `call`, `stop` and `port`, nothing else.
    """

    def __init__(
        self, database: Database, tick: int, max_connections: int,
    ) -> None:
        self.database = database
        self.tick = tick
        self.connections: set[Connection] = set()
        self.received = self.sent = 0
        self.max_connections = max_connections
        # The connections without a session, the oldest first.
        self._deadlines: dict[Connection, float] = {}
        # The sizes of unfinished frames, the oldest first.
        self._inputs: dict[Connection, int] = {}
        self._dirty: set[Connection] = set()
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        # The listener while it is registered: not when accept() failed.
        self._accepting: socket.socket | None = None
        self._is_full = False
        self._containers_at = time.monotonic()
        self.latency = Latency()
        self._calls = ThreadsafeCalls()
        self._selector.register(self._calls, selectors.EVENT_READ)
        self._is_running = True
        self._is_paused = False

    @property
    def port(self) -> int:
        """The port of the listening socket, 0 without one."""
        if self._listener is None:
            return 0
        return self._listener.getsockname()[1]

    def call(self, function: Callable[[], Any]) -> Any:
        """Have the loop's thread call `function`; return its result.

        See `ThreadsafeCalls.call`.
        """
        return self._calls.call(function)

    def stop(self) -> None:
        """End the loop. Raise ServerError when it has ended."""
        def end() -> None:
            self._is_running = False
        self.call(end)

    # All that follows runs in the loop's thread.

    def listen(self, listener: socket.socket | None) -> None:
        """Accept the connections of a socket; None accepts no more."""
        if self._accepting is not None:
            self._selector.unregister(self._accepting)
        self._listener = self._accepting = listener
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ)

    def pause(self) -> None:
        """Serve no socket, and let no session expire."""
        self._is_paused = True

    def resume(self) -> None:
        """Serve sockets and the clock again."""
        self._is_paused = False

    def drop_connections(self) -> None:
        """Close all connections; the sessions stay."""
        for connection in list(self.connections):
            connection.close()
            self._forget(connection)

    def expire(self, session: Session) -> None:
        """End a session, and close its connection."""
        client = session.connection
        self.database.end(session)
        if client is not None:
            client.dismiss()

    def has_output(self, connection: Connection) -> None:
        """Write its output, or forget a closed one, before the next wait."""
        self._dirty.add(connection)

    def set_deadline(self, connection: Connection) -> None:
        """Close the connection if it is without a session for too long.

        Close the oldest such connection if there are too many.
        """
        self._deadlines[connection] = time.monotonic() + min(
            HANDSHAKE_TICKS * self.tick / 1000, HANDSHAKE_S)
        if len(self._deadlines) > MAX_HANDSHAKES:
            self._check_handshakes()
        if len(self._deadlines) > MAX_HANDSHAKES:
            oldest = next(iter(self._deadlines))
            del self._deadlines[oldest]
            logger.warning('%s: closed, %d connections have no session',
                           oldest, MAX_HANDSHAKES)
            oldest.close()

    def keep_input(self, connection: Connection, size: int) -> None:
        """Bound what all connections have received of unfinished frames.

        A frame that takes longer than its session's timeout ends with that.
        """
        if size < SMALL_INPUT_BYTES or connection.is_closed:
            self._inputs.pop(connection, None)
            return
        self._inputs[connection] = size
        if sum(self._inputs.values()) > MAX_INPUT_BYTES:
            oldest = next(iter(self._inputs))
            del self._inputs[oldest]
            logger.warning('%s: closed, unfinished requests have more than'
                           ' %d MiB', oldest, MAX_INPUT_BYTES >> 20)
            oldest.close()

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            while self._is_running:
                if self._is_paused:
                    self._calls.answer_next()
                else:
                    self._step()
        except Exception:
            logger.exception('the server has stopped')
        finally:
            self._is_running = False
            self._close()

    def _step(self) -> None:
        is_idle = (
            not self.connections and not len(self.database.sessions)
            and self._accepting is not None)
        timeout = None if is_idle else self.tick / 1000
        ready = self._selector.select(timeout)
        # The clock first: a session that expired while the process hung is
        # over, even when its client's requests wait to be read.
        self._check_deadlines()
        for key, events in ready:
            if key.fileobj is self._calls:
                self._calls.answer()
            elif self._is_paused:
                break  # a call just made was `pause`
            elif isinstance(key.fileobj, socket.socket):
                if key.fileobj is self._listener:
                    self._accept(key.fileobj)
            elif isinstance(key.fileobj, Connection):
                self._serve(key.fileobj, events)
        self._flush_output()

    def _serve(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_READ:
            self._run_guarded(connection, connection.read)
        if events & selectors.EVENT_WRITE:
            self._dirty.add(connection)

    def _run_guarded(
        self, connection: Connection, step: Callable[[], None],
    ) -> None:
        """Call `step`; close the connection at an unexpected exception."""
        if connection.is_closed:
            return
        try:
            step()
        except Exception:
            logger.exception('%s: closed', connection)
            connection.close()

    def _flush_output(self) -> None:
        """Write all output; register what to wait for next."""
        while self._dirty:
            connection = self._dirty.pop()
            self._run_guarded(connection, connection.write)
            if connection.is_closed:
                self._forget(connection)
            elif connection in self.connections:
                self._await(connection)

    def _await(self, connection: Connection) -> None:
        events = (
            selectors.EVENT_READ * connection.is_reading
            | selectors.EVENT_WRITE * connection.is_writing)
        if events == connection.awaited:
            return
        if not connection.awaited:
            self._selector.register(connection, events)
        elif events:
            self._selector.modify(connection, events)
        else:
            self._selector.unregister(connection)
        connection.awaited = events

    def _forget(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self._deadlines.pop(connection, None)
            self._inputs.pop(connection, None)
            if connection.awaited:
                self._selector.unregister(connection)
            connection.release()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                self._is_full = False
                return
            except OSError as error:
                self._stop_accepting(listener, error)
                return
            self._admit(sock, address)

    def _stop_accepting(
        self, listener: socket.socket, error: OSError,
    ) -> None:
        # Most likely EMFILE. Descriptors get free when connections close:
        # _check_deadlines tries again after a tick.
        if not self._is_full:
            logger.warning(
                'no more connections for now: %s', error.strerror)
        self._is_full = True
        self._selector.unregister(listener)
        self._accepting = None

    def _admit(self, sock: socket.socket, address: Any) -> None:
        if len(self.connections) >= self.max_connections:
            logger.warning(
                '%s: refused, there are %d connections',
                address[0], self.max_connections)
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, address, self)
        self.connections.add(connection)
        self.set_deadline(connection)
        self._dirty.add(connection)

    def _check_deadlines(self) -> None:
        for session in self.database.sessions.overdue():
            logger.info('session %#x has expired', session.id)
            self.expire(session)
        self._check_handshakes()
        self._check_containers()
        if self._listener is not None and self._accepting is None:
            self.listen(self._listener)

    def _check_containers(self) -> None:
        now = time.monotonic()
        if now >= self._containers_at:
            self._containers_at = now + CONTAINER_TICKS * self.tick / 1000
            self.database.remove_empty_containers()

    def _check_handshakes(self) -> None:
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if not connection.is_sessionless:
                del self._deadlines[connection]
            elif deadline <= now:
                del self._deadlines[connection]
                connection.close()

    def _close(self) -> None:
        self.drop_connections()
        self._selector.close()
        self._calls.close()


def _make(function: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - raised in the caller
        future.set_exception(error)
