"""Proxy: a TCP proxy that makes the network faulty."""
import queue
import selectors
import socket
import struct
import threading
from collections.abc import Callable

from zc.zk.testing.ports import free_port

#: The two directions of a connection; see `Proxy.half_open`.
TO_SERVER = 'to_server'
TO_CLIENT = 'to_client'

CHUNK_BYTES = 1 << 16
READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

#: For SO_LINGER: close() sends a reset and drops unsent data (socket(7)).
RESET_ON_CLOSE = struct.pack('ii', 1, 0)


class Pipe:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket,
                 direction: str) -> None:
        self.source = source
        self.sink = sink
        self.direction = direction
        self.pending = b''
        self.has_ended = False

    def read(self) -> None:
        """Read from the source; pass its end on to the sink."""
        self.pending = self.source.recv(CHUNK_BYTES)
        if not self.pending:
            self.has_ended = True
            self.sink.shutdown(socket.SHUT_WR)

    def write(self) -> None:
        """Send what was read to the sink."""
        self.pending = self.pending[self.sink.send(self.pending):]


class Proxy:
    """Forwards connections to `target`, with the faults that a test asks for.

    `target` is ``(host, port)`` or ``'HOST:PORT'``. The constructor starts a
    thread, which listens on `address`, a pair of host and port that never
    changes. Each fault replaces the fault before. A context manager; its end
    closes the proxy.
    """

    def __init__(self, target: tuple[str, int] | str,
                 host: str = '127.0.0.1') -> None:
        self.target = _pair(target)
        self.address = (host, free_port(host))
        self._listener: socket.socket | None = None
        self._links: list[tuple[Pipe, Pipe]] = []
        self._blocked: frozenset[str] = frozenset()
        self._orders: queue.SimpleQueue = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._is_closed = False
        self._listen()
        self._thread = threading.Thread(
            target=self._run, name=f'proxy of {self.connection_string}',
            daemon=True)
        self._thread.start()

    @property
    def connection_string(self) -> str:
        """The address as ``HOST:PORT``."""
        return '{}:{}'.format(*self.address)

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    def drop(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._order(self._drop)

    def reset(self) -> None:
        """Reset all connections once; treat new ones as before."""
        self._order(self._reset)

    def stall(self) -> None:
        """Keep and accept connections, but forward nothing."""
        self._order(lambda: self._block(TO_SERVER, TO_CLIENT))

    def half_open(self, works: str = TO_SERVER) -> None:
        """Forward in one direction only: TO_SERVER or TO_CLIENT."""
        if works not in (TO_SERVER, TO_CLIENT):
            raise ValueError(f'half_open({works!r}): the direction that works'
                             f' is {TO_SERVER!r} or {TO_CLIENT!r}')
        other = TO_CLIENT if works == TO_SERVER else TO_SERVER
        self._order(lambda: self._block(other))

    def heal(self) -> None:
        """End the fault; forward what was held back."""
        self._order(self._block)

    def close(self) -> None:
        """Reset all connections and end the thread; may be called twice."""
        if self._thread.is_alive():
            self._order(self._close)
            self._thread.join()

    def __enter__(self) -> 'Proxy':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # All but `_order` runs in the proxy's thread.

    def _run(self) -> None:
        while not self._is_closed:
            # A new selector each time: what to wait for changes with each
            # event, and a test has few connections.
            with selectors.DefaultSelector() as selector:
                self._watch(selector)
                for key, events in selector.select():
                    key.data(events)
        self._bell.close()
        self._ear.close()

    def _watch(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._ear, READ, self._obey)
        if self._listener is not None:
            selector.register(self._listener, READ, self._accept)
        for link in self._links:
            for end, events in _interests(link, self._blocked).items():
                selector.register(
                    end, events,
                    lambda events, link=link, end=end:
                    self._forward(link, end, events))

    def _forward(self, link: tuple[Pipe, Pipe], end: socket.socket,
                 events: int) -> None:
        if link not in self._links:
            return  # an order in the same turn has reset it
        try:
            for pipe in link:
                if pipe.direction in self._blocked:
                    continue
                if pipe.source is end and events & READ and not pipe.pending:
                    pipe.read()
                if pipe.sink is end and events & WRITE and pipe.pending:
                    pipe.write()
        except OSError:
            self._end(link)
        if all(pipe.has_ended for pipe in link):
            self._end(link)

    def _accept(self, events: int) -> None:
        if self._listener is None:  # an order in the same turn closed it
            return
        try:
            client = self._listener.accept()[0]
        except OSError:  # the client has given up
            return
        try:
            server = socket.create_connection(self.target, 2)
        except OSError:
            _abort(client)
            return
        client.setblocking(False)
        server.setblocking(False)
        self._links.append((Pipe(client, server, TO_SERVER),
                            Pipe(server, client, TO_CLIENT)))

    def _obey(self, events: int) -> None:
        self._ear.recv(1)
        order, done = self._orders.get()
        try:
            order()
        finally:
            done.set()

    def _block(self, *directions: str) -> None:
        self._blocked = frozenset(directions)
        self._listen()

    def _drop(self) -> None:
        self._refuse()
        self._reset()

    def _reset(self) -> None:
        for link in list(self._links):
            self._end(link)

    def _close(self) -> None:
        self._drop()
        self._is_closed = True

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(self.address)
            self._listener.setblocking(False)

    def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._listener = None

    def _end(self, link: tuple[Pipe, Pipe]) -> None:
        if link in self._links:
            self._links.remove(link)
            for pipe in link:
                _abort(pipe.source)

    def _order(self, order: Callable[[], None]) -> None:
        """Have the proxy's thread call `order`, and wait until it has."""
        done = threading.Event()
        self._orders.put((order, done))
        self._bell.send(b'!')
        done.wait()


def _interests(link: tuple[Pipe, Pipe],
               blocked: frozenset[str]) -> dict[socket.socket, int]:
    interests: dict[socket.socket, int] = {}
    for pipe in link:
        if pipe.direction in blocked:
            continue
        if pipe.pending:
            interests[pipe.sink] = interests.get(pipe.sink, 0) | WRITE
        elif not pipe.has_ended:
            interests[pipe.source] = interests.get(pipe.source, 0) | READ
    return interests


def _abort(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    end.close()


def _pair(target: tuple[str, int] | str) -> tuple[str, int]:
    if isinstance(target, str):
        host, _, port = target.rpartition(':')
        return host, int(port)
    return target
