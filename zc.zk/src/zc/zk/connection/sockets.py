"""kazoo's handler with bounded connects, and sockets that report failures.

kazoo asks its handler for threads, for connections and for `select`. This
handler gives up connecting sooner than kazoo's, can end a connection from
another thread, and remembers why servers could not be reached.
"""
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler

#: The longest time for one TCP connect, or for the TLS handshake after it.
CONNECT_TIMEOUT_S = 3.0

#: The first bytes of a TLS alert record, of TLS 1.0 to 1.3: content type 21
#: and the major version (RFC 8446, section 5.1). A TLS server sends it in
#: answer to plain text.
TLS_ALERT_PREFIX = b'\x15\x03'

#: Takes the outcome of the first answer: None, or what went wrong.
Report = Callable[[Exception | None], None]


class ServerHungUp(ConnectionError):
    """A server accepted the connection and closed it without an answer."""

    def __init__(self) -> None:
        super().__init__('the server hung up without an answer, as one that'
                         ' speaks TLS does, or one that is not ready')


class BoundedHandler(SequentialThreadingHandler):
    """kazoo's handler; it connects in bounded time and can be aborted.

    One attempt to connect gets the session time-out divided by the number of
    servers, and `CONNECT_TIMEOUT_S` at most: a silent server must not use up
    the time of those that answer.

    `failures` maps the address of each server that failed last time, a tuple
    of IP address and port, to its exception.
    """

    def __init__(self, servers: int, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self.failures: dict[tuple[str, int], Exception] = {}
        self._servers = servers
        self._tls = tls
        self._socket: socket.socket | None = None
        self._aborted = False

    def create_connection(self, address: tuple[str, int],
                          hostname: str | None = None,
                          timeout: float = CONNECT_TIMEOUT_S,
                          **options: Any) -> socket.socket:
        """Connect to `address` for kazoo; raise OSError where that fails.

        `hostname` is the name that the server's certificate must be for.
        """
        timeout = min(timeout / self._servers, CONNECT_TIMEOUT_S)
        try:
            connection = self._connect(address, hostname, timeout)
        except Exception as error:
            if not (isinstance(error, TimeoutError) and isinstance(
                    self.failures.get(address), ssl.SSLError)):
                # A TLS error of before tells more than a time-out now.
                self.failures[address] = error
            raise
        self._socket = connection
        if self._aborted:
            self.abort()
        return connection

    def _connect(self, address: tuple[str, int], hostname: str | None,
                 timeout: float) -> socket.socket:
        report = partial(self._note_outcome, address)
        connection = socket.create_connection(address, timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return _PlainSocket(connection, report)
            return _wrap_tls(connection, self._tls, hostname, report)
        except BaseException:
            connection.close()
            raise

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
        """
        ready = [each for each in rlist
                 if isinstance(each, ssl.SSLSocket) and each.pending()]
        if ready:
            return ready, [], []
        return super().select(rlist, wlist, xlist, timeout)

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
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already


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


def _wrap_tls(connection: socket.socket, context: ssl.SSLContext,
              hostname: str | None, report: Report) -> '_TLSSocket':
    context.sslsocket_class = _TLSSocket
    wrapped = context.wrap_socket(connection, server_hostname=hostname)
    assert isinstance(wrapped, _TLSSocket)
    wrapped.report = report
    return wrapped


class _TLSSocket(ssl.SSLSocket):
    """A TLS socket that reports its first failure, and each success.

    In TLS 1.3 the client's handshake ends before the server has seen the
    client's certificate (RFC 8446, section 2, figure 1). A refusal comes in
    place of the first answer, as an alert or as a closed connection.
    """

    report: Report = staticmethod(lambda outcome: None)
    _has_failed = False

    def recv(self, *args: Any) -> bytes:
        """Receive, and report the outcome."""
        try:
            data = super().recv(*args)
        except ssl.SSLWantReadError:
            raise
        except OSError as error:
            self._fail(error)
            raise
        if data:
            self.report(None)
        else:
            self._fail(ConnectionError('the server closed the connection'))
        return data

    def send(self, *args: Any) -> int:
        """Send; where that fails, receive first what the server said."""
        try:
            return super().send(*args)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            with suppress(OSError):
                self.recv(1)
            self._fail(error)
            raise

    def _fail(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            self.report(error)
