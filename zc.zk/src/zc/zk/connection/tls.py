"""Connections over TLS; imported only where TLS is asked for.

The module `ssl`, and OpenSSL with it, take memory and time at every start.
"""
import socket
import ssl
from contextlib import suppress
from typing import Any

from zc.zk.connection.sockets import Report


def make_context(ca: str | None, cert: str | None,
                 key: str | None) -> ssl.SSLContext:
    """Return a TLS context that checks the server's certificate and name.

    `ca`, `cert` and `key` are names of PEM files. Without `ca`, the system's
    authorities are trusted; without `cert`, the client shows no certificate.
    Raises ValueError for files that cannot be used.
    """
    if key and not cert:
        raise ValueError(f'TLS: the key {key} is of no use without its '
                         'certificate')
    try:
        role, path = 'certificates of authorities', ca
        context = ssl.create_default_context(cafile=ca)
        if cert:
            role, path = 'certificate or its key', cert
            context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError as well
        raise ValueError(f'TLS: the {role} {path}: {error}') from None
    return context


def wrap(context: ssl.SSLContext, connection: socket.socket,
         hostname: str | None, report: Report) -> 'TLSSocket':
    """Shake hands, and return a socket that reports to `report`.

    `hostname` is the name that the server's certificate must be for.
    """
    context.sslsocket_class = TLSSocket
    wrapped = context.wrap_socket(connection, server_hostname=hostname)
    assert isinstance(wrapped, TLSSocket)
    wrapped.report = report
    return wrapped


class TLSSocket(ssl.SSLSocket):
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
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # As a plain socket says it: zc.zk.connection.loop knows no ssl.
            raise BlockingIOError from None
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
