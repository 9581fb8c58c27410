"""The zope.server adapter: bind, the true port, serve, drain.

This is the only file that imports zope.server and asyncore.
"""
from __future__ import annotations

import asyncore
import dataclasses
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from zope.server.adjustments import Adjustments
from zope.server.http.httpserverchannel import HTTPServerChannel
from zope.server.http.httptask import HTTPTask
from zope.server.http.wsgihttpserver import WSGIHTTPServer
from zope.server.taskthreads import ThreadedTaskDispatcher

from zc.zkzopeserver.errors import ServerError


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What a server is doing at the moment."""

    started: float
    requests: int
    in_flight: int
    queued: int
    busy_threads: int
    connections: int


def bound_socket(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket; ServerError says why there is none."""
    where = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    try:
        found = socket.getaddrinfo(
            host or '0.0.0.0', port, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ServerError(f'cannot listen on {where}: {reason}') from None
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno) if error.errno else error
        raise ServerError(f'cannot listen on {where}: {reason}') from None
    return sock


class Task(HTTPTask):
    """A zope.server task that closes its connection while draining."""

    def prepareResponseHeaders(self) -> None:
        """Headers of the response, ``Connection: close`` while draining."""
        super().prepareResponseHeaders()
        if self.channel.server.is_draining:
            self.close_on_finish = 1
            self.response_headers['Connection'] = 'close'


class Channel(HTTPServerChannel):
    """A zope.server channel in its server's own asyncore map."""

    task_class = Task
    active_channels: dict[int, Any] = {}

    def __init__(self, server: Shell, *args: Any) -> None:
        self.home = server.home
        super().__init__(server, *args)

    def add_channel(self, map: dict | None = None) -> None:
        """Enter the server's map, not the process's."""
        super().add_channel(self.home)

    def del_channel(self, map: dict | None = None) -> None:
        """Leave the server's map."""
        super().del_channel(self.home)


class Shell(WSGIHTTPServer):
    """zope.server's WSGI server around a socket that listens already."""

    channel_class = Channel
    is_draining = False

    def __init__(self, sock: socket.socket, application: Callable,
                 name: str, dispatcher: ThreadedTaskDispatcher,
                 adjustments: Adjustments) -> None:
        self.home: dict[int, Any] = {}
        asyncore.dispatcher.__init__(self, sock, self.home)
        self.application = application
        self.SERVER_IDENT = name
        self.task_dispatcher = dispatcher
        self.adj = adjustments
        self.accepting = True
        self.server_name = socket.gethostname()
        self.port = sock.getsockname()[1]
        self.verbose = 0
        self.hit_log = None

    def add_channel(self, map: dict | None = None) -> None:
        """Enter this server's own map."""
        super().add_channel(self.home)

    def readable(self) -> bool:
        """Whether there is room for one more connection."""
        return len(self.home) <= self.adj.connection_limit


class Server:
    """A WSGI server that is bound and listening when constructed."""

    def __init__(self, application: Callable, *, host: str = '',
                 port: int = 0, threads: int = 1,
                 name: str = 'zc.zkzopeserver', connection_limit: int = 1000,
                 channel_timeout: float = 120, backlog: int = 1024,
                 max_request_header_size: int = 65536,
                 max_request_body_size: int = 2 ** 30,
                 zservertracelog: bool = False,
                 access_log: Any = None) -> None:
        sock = bound_socket(host, port, backlog)
        self.address: tuple[str, int] = (host, sock.getsockname()[1])
        self._threads = threads
        self._dispatcher = ThreadedTaskDispatcher()
        adjustments = Adjustments()
        adjustments.connection_limit = connection_limit
        adjustments.channel_timeout = channel_timeout
        self._shell = Shell(sock, application, name, self._dispatcher,
                            adjustments)
        self._loop: threading.Thread | None = None
        self._stopping = False
        self._started = 0.0

    def start(self) -> None:
        """Start the loop and the threads, and return."""
        self._started = time.time()
        self._dispatcher.setThreadCount(self._threads)
        self._loop = threading.Thread(target=self._run, name='zkzopeserver',
                                      daemon=True)
        self._loop.start()

    def _run(self) -> None:
        home = self._shell.home
        while not self._stopping:
            asyncore.poll(0.01, home)

    def drain(self, timeout: float) -> int:
        """Stop accepting, finish what is in flight; how many were cut."""
        self._shell.is_draining = True
        self._shell.accepting = False
        deadline = time.monotonic() + timeout
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self._busy())

    def _busy(self) -> list[Channel]:
        return [channel for channel in list(self._shell.home.values())
                if channel is not self._shell
                and (channel.running_tasks or channel.outbuf)]

    def close(self) -> None:
        """Close every socket and end every thread; may be repeated."""
        self._stopping = True
        if self._loop is not None:
            self._loop.join()
        self._dispatcher.shutdown(timeout=1)
        for channel in list(self._shell.home.values()):
            channel.async_mode = True
            channel.close()
        self._shell.close()

    def statistics(self) -> Statistics:
        """Counts of requests, threads and connections."""
        busy = len(self._busy())
        return Statistics(self._started, 0, busy,
                          self._dispatcher.getPendingTasksEstimate(),
                          min(busy, self._threads),
                          max(0, len(self._shell.home) - 1))
