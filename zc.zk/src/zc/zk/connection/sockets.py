"""kazoo's handler with bounded connects, and sockets that report failures.

kazoo asks its handler for threads, for connections and for `select`. This
handler gives up connecting sooner than kazoo's, can end a connection from
another thread, and remembers why servers could not be reached.
"""
import contextlib
import errno
import logging
import os
import random
import select
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import Callback

logger = logging.getLogger('zc.zk.connection')

#: The longest time for one TCP connect, or for the TLS handshake after it.
CONNECT_TIMEOUT_S = 3.0

#: The time after which another connection is tried beside one that no server
#: has answered, made up to a quarter longer or shorter at random.
CONNECT_AGAIN_S = 0.5

#: Errors of a process or a machine that has no room for another connection:
#: descriptors, memory, or local ports are used up (socket(2), connect(2)).
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
             errno.EADDRNOTAVAIL, errno.EAGAIN}

#: The first bytes of a TLS alert record, of TLS 1.0 to 1.3: content type 21
#: and the major version (RFC 8446, section 5.1). A TLS server sends it in
#: answer to plain text.
TLS_ALERT_PREFIX = b'\x15\x03'

#: Takes the outcome of the first answer: None, or what went wrong.
Report = Callable[[Exception | None], None]

#: Shakes hands for TLS; takes a socket, the server's name and a Report.
Wrap = Callable[[socket.socket, str | None, Report], socket.socket]


class ServerHungUp(ConnectionError):
    """A server accepted the connection and closed it without an answer."""

    def __init__(self) -> None:
        super().__init__('the server hung up without an answer, as one that'
                         ' speaks TLS does, or one that is not ready')


class StillResolving(TimeoutError):
    """The name of a server is being looked up."""

    def __init__(self) -> None:
        super().__init__('its name is being looked up')


class BoundedHandler(SequentialThreadingHandler):
    """kazoo's handler; it connects in bounded time and can be aborted.

    One attempt to connect gets the session time-out divided by the number of
    servers, and `CONNECT_TIMEOUT_S` at most: a silent server must not use up
    the time of those that answer.

    `wrap` makes a TLS socket of a connection; without it there is no TLS.

    `failures` maps the address of each server that failed last time, a tuple
    of IP address and port, to its exception. For a name that was not resolved
    it is a tuple of name and port.
    """

    def __init__(self, servers: int, wrap: Wrap | None = None) -> None:
        super().__init__()
        self.failures: dict[tuple[str, int], Exception] = {}
        self._servers = servers
        self._wrap = wrap
        self._socket: socket.socket | None = None
        self._server: tuple[tuple[str, int], str | None] | None = None
        self._aborted = False
        #: Called by `select` before it waits, by kazoo's thread. Returns how
        #: many seconds it may wait before the next call, None for any number,
        #: or raises the error that ends the connection.
        self.look: Callable[[], float | None] = lambda: None

    def create_connection(self, address: tuple[str, int],
                          hostname: str | None = None,
                          timeout: float = CONNECT_TIMEOUT_S,
                          **options: Any) -> socket.socket:
        """Connect to `address` for kazoo; raise OSError where that fails.

        `hostname` is the name that the server's certificate must be for.
        """
        timeout = min(timeout / self._servers, CONNECT_TIMEOUT_S)
        self._server = address, hostname
        try:
            connection = self._connect(address, hostname, timeout,
                                       partial(self._note_outcome, address))
        except Exception as error:
            if not (isinstance(error, TimeoutError)
                    and self._has_tls_error(address)):
                # A TLS error of before tells more than a time-out now.
                self.failures[address] = error
            raise
        self._socket = connection
        if self._aborted:
            self.abort()
        return connection

    def create_second_connection(self, timeout: float) -> socket.socket:
        """Connect once more to the server of `create_connection`.

        Raises OSError where that fails; `failures` stay as they are.
        """
        if self._server is None:
            raise ConnectionError('there is no first connection')
        return self._connect(*self._server, timeout, lambda outcome: None)

    @contextlib.contextmanager
    def resolving(self, host: str, port: int) -> Iterator[None]:
        """Note why a name cannot be resolved; the block tries to do so.

        While it tries, which can take long, that is noted, too.
        """
        self.failures.setdefault((host, port), StillResolving())
        try:
            yield
        except socket.gaierror as error:
            self.failures[host, port] = error
        except BaseException:
            self.failures.pop((host, port), None)
            raise
        else:
            # An IP address has the failure of the last connect there.
            if isinstance(self.failures[host, port],
                          (StillResolving, socket.gaierror)):
                del self.failures[host, port]

    def _connect(self, address: tuple[str, int], hostname: str | None,
                 timeout: float, report: Report) -> socket.socket:
        connection = connect_again_and_again(address, timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._wrap is None:
                return _PlainSocket(connection, report)
            return self._wrap(connection, hostname, report)
        except BaseException:
            connection.close()
            raise

    def _has_tls_error(self, address: tuple[str, int]) -> bool:
        if self._wrap is None:
            return False
        import ssl
        return isinstance(self.failures.get(address), ssl.SSLError)

    def _note_outcome(self, address: tuple[str, int],
                      error: Exception | None) -> None:
        if error is None:
            self.failures.pop(address, None)
        else:
            self.failures[address] = error
            self._socket = None

    def select(self, rlist: Any, wlist: Any, xlist: Any,
               timeout: float | None = None) -> Any:
        """Wait as select.select does, but not for data that TLS holds.

        kazoo reads one answer at a time. Further answers in the same TLS
        record are in OpenSSL's buffer, where the kernel's select sees
        nothing (Python's ssl documentation, "Notes on non-blocking
        sockets").

        It uses poll(2), which needs no file descriptor of its own, unlike
        the selector that kazoo makes for each call.

        It calls `look` before it waits, and meanwhile.
        """
        if self._wrap is not None:
            # The other sockets, of kazoo's own pipe, have no `pending`.
            ready = [each for each in rlist
                     if hasattr(each, 'pending') and each.pending()]
            if ready:
                return ready, [], []
        poll = select.poll()
        for each in {*rlist, *wlist}:
            poll.register(each, (each in rlist and select.POLLIN)
                          | (each in wlist and select.POLLOUT))
        events = dict(_wait(poll, timeout, self.look))
        return ([each for each in rlist
                 if events.get(each.fileno(), 0) & ~select.POLLOUT],
                [each for each in wlist
                 if events.get(each.fileno(), 0) & ~select.POLLIN], [])

    def dispatch_callback(self, callback: Callback) -> None:
        """Have kazoo's thread call a watcher; log all of its exceptions.

        Otherwise sys.exit() in a watcher would end the thread, and no
        watcher would be called again.
        """
        self.callback_queue.put(partial(_call, callback))

    def is_refused(self) -> bool:
        """Return whether every server has refused the connection at once.

        A server that hangs up does not count: it may be about to join its
        ensemble.
        """
        return (self._socket is None
                and len(self.failures) >= self._servers
                and not any(isinstance(error, (TimeoutError, ServerHungUp))
                            for error in self.failures.values()))

    def abort(self) -> None:
        """End the connection at once, and each that is made from now on."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            shut_down(connection)


def shut_down(connection: socket.socket) -> None:
    """End a connection that another thread uses, if it is not closed yet.

    An SSLSocket's own `shutdown` takes its TLS state away, so that a `recv`
    of the other thread raises ValueError, and no OSError.
    """
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def connect_again_and_again(address: tuple[str, int],
                            timeout: float) -> socket.socket:
    """Connect as socket.create_connection does, after a cut sooner.

    TCP waits for a second, or longer, before it asks again (RFC 6298, section
    2). It would do so after the end of a cut, too. So another connection is
    begun every `CONNECT_AGAIN_S`, beside those that are not answered, and the
    first that is answered is returned. Those that are begun go on where there
    is no room for another.

    Raises OSError if a server refuses, and TimeoutError after `timeout`.
    """
    family, kind, protocol, _, where = socket.getaddrinfo(
        *address, type=socket.SOCK_STREAM)[0]
    begun: dict[int, socket.socket] = {}
    poll = select.poll()
    deadline = time.monotonic() + timeout
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                connection = _begin(family, kind, protocol, where)
            except OSError as error:
                if not begun or error.errno not in EXHAUSTED:
                    raise
            else:
                begun[connection.fileno()] = connection
                poll.register(connection, select.POLLOUT)
            pause_s = CONNECT_AGAIN_S * random.uniform(.75, 1.25)
            for descriptor, _ in poll.poll(min(pause_s, left_s) * 1000):
                connection = begun[descriptor]
                code = connection.getsockopt(socket.SOL_SOCKET,
                                             socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                del begun[descriptor]
                connection.settimeout(timeout)
                return connection
        raise TimeoutError('timed out')
    finally:
        for connection in begun.values():
            connection.close()


def _begin(family: int, kind: int, protocol: int, where: Any) -> socket.socket:
    """Return a socket that connects; raise OSError where it cannot begin."""
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        code = connection.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except BaseException:
        connection.close()
        raise
    return connection


def _wait(poll: select.poll, timeout: float | None,
          look: Callable[[], float | None]) -> list[tuple[int, int]]:
    """Return what `poll` does within `timeout` seconds; see `select`."""
    end = time.monotonic() + (float('inf') if timeout is None else timeout)
    while True:
        left_s = end - time.monotonic()
        look_s = look()
        wait_s = left_s if look_s is None else min(left_s, look_s)
        events = poll.poll(None if wait_s == float('inf')
                           else max(wait_s, 0) * 1000)
        if events or wait_s == left_s:
            return events


def _call(callback: Callback) -> None:
    try:
        callback.func(*callback.args)
    except BaseException:
        logger.exception('A watcher failed: %r', callback.func)


class _PlainSocket(socket.socket):
    """A socket that reports the outcome of its first `recv`."""

    def __init__(self, connection: socket.socket, report: Report) -> None:
        """Take over `connection`, which is detached and of no use then."""
        timeout = connection.gettimeout()
        super().__init__(connection.family, connection.type,
                         connection.proto, connection.detach())
        self.settimeout(timeout)
        self._report = report
        self._is_reported = False

    def recv(self, *args: Any) -> bytes:
        """Receive; raise ConnectionError for an alert of a TLS server."""
        if self._is_reported:
            return super().recv(*args)
        try:
            data = super().recv(*args)
        except ConnectionError:
            self._report(ServerHungUp())
            raise
        self._is_reported = True
        if data.startswith(TLS_ALERT_PREFIX):
            error = ConnectionError('the server speaks TLS')
            self._report(error)
            raise error
        self._report(None if data else ServerHungUp())
        return data
