"""`Server`: a WSGI server with its listening socket.

The constructor binds and listens, so that the true port is known before the
first request; `Server.start` serves, `Server.drain` and `Server.close` stop.
"""
from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from zope.server.accesslog import AccessLog
from zope.server.connection import Connection
from zope.server.engine import Engine
from zope.server.engine import Statistics
from zope.server.errors import ServerError
from zope.server.logfile import reason
from zope.server.measured import MeasuredConnection
from zope.server.metrics import Measures
from zope.server.metrics import Meter
from zope.server.running import Activity
from zope.server.running import running
from zope.server.running import stacks
from zope.server.settings import LISTENING
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope.server.tracelog import TraceLog
from zope.server.values import format_address
from zope.server.values import server_name


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a non-blocking TCP socket that listens.

    An empty `host` is all IPv4 addresses; ``::`` is all addresses of both
    families (ipv6(7), IPV6_V6ONLY).  `port` 0: the operating system picks.
    Raise ServerError, which says where it cannot listen and why.
    """
    where = format_address((host, port))
    try:
        family = socket.getaddrinfo(
            host or '0.0.0.0', 0, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # Connections in TIME_WAIT do not keep a server from its port
            # (socket(7)).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            # Accepted connections inherit it (tcp(7)).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((host, port))
            sock.listen(backlog)
        except BaseException:
            sock.close()
            raise
    except socket.gaierror as error:
        reason = error.strerror
    except (OSError, UnicodeError, OverflowError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
    else:
        return sock
    raise ServerError(f'cannot listen on {where}: {reason}')


def open_access_log(path: str | None, shows_peer: bool) -> AccessLog | None:
    """Return the access log; raise ServerError if it cannot be written."""
    if path is None:
        return None
    try:
        return AccessLog(path, shows_peer)
    except OSError as error:
        raise ServerError(f'cannot write the access log {path}:'
                          f' {reason(error)}') from None


class Server:
    """A WSGI server that is bound and listening when constructed.

    `address` is a tuple: the host as given, and the true port.  The keyword
    arguments beyond `access_log` are the fields of `zope.server.Settings`.
    Raise ServerError when the address cannot be listened on or the access log
    cannot be written, and SettingsError when a setting is not allowed.

    With `measure` it counts for `measures`.  A subclass may have another
    `connection_class`, which counts nothing.
    """

    connection_class = Connection

    def __init__(self, application: Callable, *, host: str = '',
                 port: int = 0, backlog: int = LISTENING['backlog'].default,
                 zservertracelog: bool = False,
                 access_log: str | None = None, measure: bool = False,
                 **settings: Any) -> None:
        limits = Settings(**settings)
        self._access_log = open_access_log(
            access_log, bool(limits.trusted_proxy))
        try:
            self._socket = listen(host, port, backlog)
        except ServerError:
            if self._access_log is not None:
                self._access_log.close()
            raise
        true_port = self._socket.getsockname()[1]
        self.address: tuple[str, int] = (host, true_port)
        shared = SharedState(
            application, (server_name(host), true_port), limits,
            TraceLog() if zservertracelog else None, self._access_log,
            Meter() if measure else None)
        self.engine = Engine(
            shared, self._socket,
            MeasuredConnection if measure else self.connection_class,
            f'zope.server-{true_port}', backlog)

    def start(self) -> None:
        """Start the loop and the threads, and return."""
        if self._access_log is not None:
            self._access_log.start()
        self.engine.start()

    def call(self, function: Callable[[], object]) -> None:
        """Schedule `function` on the event-loop thread; return at once."""
        self.engine.call(function)

    def drain(self, timeout: float,
              should_abort: Callable[[], bool] = lambda: False) -> int:
        """Stop accepting, finish requests; return how many were cut off.

        Every connection that waits in the listen queue is still served.  The
        drain ends when the last connection is closed, after `timeout`
        seconds, or once `should_abort` returns true.
        """
        return self.engine.drain(timeout, self._socket.close, should_abort)

    def close(self) -> None:
        """Close every socket and end every thread; may be repeated."""
        self.engine.close()
        self._socket.close()
        if self._access_log is not None:
            self._access_log.close()

    def statistics(self) -> Statistics:
        """Return counts of requests, threads and connections."""
        return self.engine.statistics()

    def activity(self) -> Activity:
        """Return what the threads are doing; see `zope.server.running`."""
        threads = self.engine.threads
        # In this order: a request that ends meanwhile is counted.
        found = tuple(running(self.engine.connections()))
        return Activity(threads.finished, threads.queued,
                        len(threads.workers), found)

    def stacks(self) -> str:
        """Return the stacks of the threads that run the application."""
        return stacks(self.engine.threads.workers)

    def measures(self) -> Measures | None:
        """Return what was counted since the start; None without `measure`."""
        meter = self.engine.shared.meter
        return None if meter is None else meter.read()

    def reopen_logs(self) -> str | None:
        """Open the access log anew, after a rotation has moved its file.

        Return why that fails; None when it is open, or there is none.
        """
        return self._access_log.file.reopen() if self._access_log else None
