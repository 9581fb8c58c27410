"""The zope.server adapter: bind, the true port, serve, drain.

This is the only file that imports zope.server and asyncore.  zope.server's
`WSGIHTTPServer` remains the shell: it makes the socket, binds, listens, and
names the classes that do the work.  Those are in `http`.
"""
from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable
from typing import Any

from zope.server.adjustments import Adjustments
from zope.server.http.wsgihttpserver import WSGIHTTPServer

from zc.zkzopeserver.errors import ServerError
from zc.zkzopeserver.http.accesslog import AccessLog
from zc.zkzopeserver.http.channel import Channel
from zc.zkzopeserver.http.context import Context
from zc.zkzopeserver.http.engine import Engine
from zc.zkzopeserver.http.engine import Statistics
from zc.zkzopeserver.http.settings import Settings
from zc.zkzopeserver.http.tracelog import TraceLog

__all__ = ['SETTINGS', 'Server', 'ServerError', 'Shell', 'Statistics']

# What `Server` takes as keyword arguments, besides those that it names.
SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))


class Shell(WSGIHTTPServer):
    """zope.server's WSGI server, bound and listening when constructed.

    `channel_class` and, on that, `task_class` can be replaced in subclasses.
    """

    channel_class = Channel

    def __init__(self, application: Callable, host: str, port: int,
                 settings: Settings, backlog: int) -> None:
        self.home: dict[int, Any] = {}
        self.SERVER_IDENT = settings.name
        adjustments = Adjustments()
        adjustments.backlog = backlog
        adjustments.connection_limit = settings.connection_limit
        adjustments.channel_timeout = settings.channel_timeout
        self._host = host
        super().__init__(application, None, host, port, adj=adjustments)
        self.port = self.socket.getsockname()[1]

    def add_channel(self, map: dict | None = None) -> None:
        """Stay out of the process's asyncore map."""
        super().add_channel(self.home)

    def del_channel(self, map: dict | None = None) -> None:
        """As `add_channel`."""
        super().del_channel(self.home)

    def create_socket(self, family: int = socket.AF_INET,
                      type: int = socket.SOCK_STREAM) -> None:
        """Make a socket of the family that the host is of."""
        found = socket.getaddrinfo(
            self._host or '0.0.0.0', 0, type=type, flags=socket.AI_PASSIVE)
        super().create_socket(found[0][0], type)
        if found[0][0] == socket.AF_INET6:
            # `::` means IPv4, too.
            self.socket.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def computeServerName(self, ip: str = '') -> str:
        """The host, without asking the DNS for it."""
        return ip or socket.gethostname()


def listening(make: type[Shell], application: Callable, host: str, port: int,
              settings: Settings, backlog: int) -> Shell:
    """A shell that listens; ServerError says where it cannot, and why."""
    try:
        return make(application, host, port, settings, backlog)
    except (OSError, UnicodeError, OverflowError) as error:
        where = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
        reason = str(error)
        if isinstance(error, socket.gaierror):
            reason = error.strerror
        elif isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
        raise ServerError(f'cannot listen on {where}: {reason}') from None


def opened(access_log: str | None) -> AccessLog | None:
    """The access log; ServerError says why it cannot be written."""
    if access_log is None:
        return None
    try:
        return AccessLog(access_log)
    except OSError as error:
        raise ServerError(f'cannot write the access log {access_log}:'
                          f' {error.strerror}') from None


class Server:
    """A WSGI server that is bound and listening when constructed.

    `address` is the host as given and the true port.  Keyword arguments
    beyond `backlog` are those of `http.settings.Settings`.
    """

    shell_class = Shell

    def __init__(self, application: Callable, *, host: str = '',
                 port: int = 0, backlog: int = 1024,
                 zservertracelog: bool = False,
                 access_log: str | None = None, **settings: Any) -> None:
        chosen = Settings(**settings)
        self._access_log = opened(access_log)
        try:
            self._shell = listening(self.shell_class, application, host,
                                    port, chosen, backlog)
        except ServerError:
            if self._access_log is not None:
                self._access_log.close()
            raise
        self.address: tuple[str, int] = (host, self._shell.port)
        context = Context(
            application, (self._shell.server_name, self._shell.port), chosen,
            TraceLog() if zservertracelog else None, self._access_log)
        self._engine = Engine(
            context, self._shell.socket,
            lambda sock, peer: self._shell.channel_class(context, sock, peer),
            f'zkzopeserver-{self._shell.port}', backlog)

    def start(self) -> None:
        """Start the loop and the threads, and return."""
        if self._access_log is not None:
            self._access_log.start()
        self._engine.start()

    def call(self, function: Callable[[], object]) -> None:
        """Have `function` called by the loop, in the thread that polls."""
        self._engine.call(function)

    def drain(self, timeout: float,
              is_hurried: Callable[[], bool] = lambda: False) -> int:
        """Accept no more and finish; how many requests had to be cut.

        Everything that waits in the listen queue now is still served.  The
        time is over as soon as `is_hurried` says so.
        """
        return self._engine.drain(timeout, self._shell.close, is_hurried)

    def close(self) -> None:
        """Close every socket and end every thread; may be repeated."""
        self._engine.close()
        self._shell.close()
        if self._access_log is not None:
            self._access_log.close()

    def statistics(self) -> Statistics:
        """Counts of requests, threads and connections."""
        return self._engine.statistics()

    def reopen_logs(self) -> None:
        """Go on in new log files: the old ones were moved."""
        if self._access_log is not None:
            self._access_log.reopen()
