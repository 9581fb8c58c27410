"""kazoo's threads and sockets, made to give up sooner and to be cut off."""
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler

#: The most that one TCP connect, or the TLS handshake after it, may take.
CONNECT_SECONDS = 3.0

#: What a TLS server says of what is none: an alert, of TLS 1.0 to 1.3.
TLS_ALERT = b'\x15\x03'


class HungUp(ConnectionError):
    """A server takes connections and ends them without a word."""

    def __init__(self) -> None:
        super().__init__('the server hung up without an answer, as one that'
                         ' speaks TLS does, or one that is not ready')


class Handler(SequentialThreadingHandler):
    """kazoo's handler; connects in bounded time and can be cut off.

    An attempt to connect gets a share of the session's time-out and never
    more than `CONNECT_SECONDS`, so that a server that is silent does not
    keep us from the ones that answer. ``failures`` holds, for each server
    address that could not be connected to last time, the exception.
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
                          timeout: float = CONNECT_SECONDS,
                          **options: Any) -> socket.socket:
        """Connect as kazoo would, but sooner give up."""
        timeout = min(timeout / self._servers, CONNECT_SECONDS)
        try:
            connection = self._connect(address, hostname, timeout)
        except Exception as error:
            if not (isinstance(error, TimeoutError) and isinstance(
                    self.failures.get(address), ssl.SSLError)):
                # What a server has said tells more than its silence now.
                self.failures[address] = error
            raise
        connection.tell = partial(self._received, address)
        self._socket = connection
        if self._aborted:
            self.abort()
        return connection

    def _connect(self, address: tuple[str, int], hostname: str | None,
                 timeout: float) -> socket.socket:
        connection = socket.create_connection(address, timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return _PlainSocket.of(connection)
            self._tls.sslsocket_class = _TLSSocket
            return self._tls.wrap_socket(connection, server_hostname=hostname)
        except BaseException:
            connection.close()
            raise

    def _received(self, address: tuple[str, int],
                  error: Exception | None) -> None:
        """Note whether what a connection is good for could be received."""
        if error is None:
            self.failures.pop(address, None)
        else:
            self.failures[address] = error
            self._socket = None

    def select(self, rlist: Any, wlist: Any, xlist: Any,
               timeout: float | None = None) -> Any:
        """As select.select; knows of what TLS has read ahead.

        kazoo reads one answer at a time; those behind it in the same record
        would wait for the next packet from the server.
        """
        ready = [each for each in rlist
                 if isinstance(each, ssl.SSLSocket) and each.pending()]
        if ready:
            return ready, [], []
        return super().select(rlist, wlist, xlist, timeout)

    def is_refused(self) -> bool:
        """Whether every server fails at once: nobody listens anywhere.

        One that hangs up may be about to join its ensemble.
        """
        return (self._socket is None
                and len(self.failures) >= self._servers
                and not any(isinstance(error, (TimeoutError, HungUp))
                            for error in self.failures.values()))

    def abort(self) -> None:
        """End the connection, and any made from now on, at once."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already


class _PlainSocket(socket.socket):
    """Tells what becomes of it until it has received something."""

    tell: Callable[[Exception | None], None] = staticmethod(lambda error: None)
    _is_told = False

    @classmethod
    def of(cls, connection: socket.socket) -> '_PlainSocket':
        """The same connection; the other object is not usable any more."""
        timeout = connection.gettimeout()
        plain = cls(connection.family, connection.type, connection.proto,
                    connection.detach())
        plain.settimeout(timeout)
        return plain

    def recv(self, *args: Any) -> bytes:
        """As of any socket; an alert of TLS is an error."""
        if self._is_told:
            return super().recv(*args)
        try:
            data = super().recv(*args)
        except ConnectionError:
            self.tell(HungUp())
            raise
        self._is_told = True
        if data.startswith(TLS_ALERT):
            error = ConnectionError('the server speaks TLS')
            self.tell(error)
            raise error
        self.tell(None if data else HungUp())
        return data


class _TLSSocket(ssl.SSLSocket):
    """Tells what becomes of it: of what went wrong, the first.

    A server that does not like our certificate lets us finish the handshake,
    and says so, or only hangs up, in place of its first answer (TLS 1.3).
    """

    tell: Callable[[Exception | None], None] = staticmethod(lambda error: None)
    _has_failed = False

    def recv(self, *args: Any) -> bytes:
        """As of any socket."""
        try:
            data = super().recv(*args)
        except ssl.SSLWantReadError:
            raise
        except OSError as error:
            self._fail(error)
            raise
        if data:
            self.tell(None)
        else:
            self._fail(ConnectionError('the server closed the connection'))
        return data

    def send(self, *args: Any) -> int:
        """As of any socket; when it fails, what the server said is read."""
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
            self.tell(error)
