"""`WSGIHTTPServer` and `run_paste`, as zope.server 5 documents them.

They hand their arguments to `zope.server.Server`.  New programs use that.
"""
from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from zope.server.adjustments import Adjustments
from zope.server.adjustments import default_adj
from zope.server.runner import StopRequest
from zope.server.runner import serve_until
from zope.server.server import Server
from zope.server.settings import LISTENING
from zope.server.taskthreads import ThreadedTaskDispatcher
from zope.server.values import format_address
from zope.server.values import server_name

logger = logging.getLogger('zope.server')

GRACEFUL_TIMEOUT_S = LISTENING['graceful_timeout'].default


class WSGIHTTPServer:
    """A WSGI server with the arguments of zope.server 5.

    `sub_protocol` stands in brackets in the Server header.  Without a
    `task_dispatcher` one thread runs the application.  With `start` the
    server serves at once, otherwise from `accept_connections` or `run` on.
    `hit_log` is the file of the access log, ``-`` for standard output.  With
    `verbose` the address is logged.

    `application` can be replaced while the server serves.  Raise ServerError
    when the address cannot be listened on, and SettingsError when `adj` or
    the number of threads is wrong.
    """

    SERVER_IDENT = 'zope.server.http'

    def __init__(self, application: Callable, sub_protocol: str | None = None,
                 ip: str = '', port: int = 8080,
                 task_dispatcher: ThreadedTaskDispatcher | None = None,
                 adj: Adjustments | None = None, start: bool = True,
                 hit_log: str | None = None, verbose: bool = False) -> None:
        if not isinstance(hit_log, (str, type(None))):
            raise TypeError('hit_log: the path of a file, - or None, as the'
                            ' server writes its access log itself')
        self.application = application
        self.adj = default_adj if adj is None else adj
        self.task_dispatcher = task_dispatcher
        self.hit_log = hit_log
        self.verbose = verbose
        ident = self.SERVER_IDENT
        # As zope.server 5 has it: other processes may run the application.
        self._server = Server(
            self._call, host=ip, port=port, access_log=hit_log,
            name=f'{ident} ({sub_protocol})' if sub_protocol else ident,
            threads=1 if task_dispatcher is None else task_dispatcher.count,
            multiprocess=True, **self.adj.arguments())
        self.server_name = server_name(ip)
        self.port = self._server.address[1]
        self._request = StopRequest()
        self._is_started = False
        self._is_running = False
        # `run` and `close` may be called by two threads at the same time.
        self._lock = threading.RLock()
        if task_dispatcher is not None:
            task_dispatcher.add(self._server)
        if start:
            self.accept_connections()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, 'executeRequest'):
            raise TypeError(
                f'{cls.__name__}.executeRequest: nothing calls it since'
                ' zope.server 6; wrap the application instead')

    def _call(self, environ: dict[str, Any], start_response: Callable
              ) -> Iterable[bytes]:
        return self.application(environ, start_response)

    def accept_connections(self) -> None:
        """Start to serve, in threads of the server; return at once."""
        if not self._is_started:
            self._is_started = True
            self._server.start()
            if self.verbose:
                logger.info('serving on %s',
                            format_address(self._server.address))

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `close`, in place of asyncore.loop().

        Drain then, and return.  A second signal ends the drain.
        """
        with self._lock:
            self._is_running = True
        try:
            serve_until(self._request, self._server, self.accept_connections,
                        GRACEFUL_TIMEOUT_S)
        finally:
            self._is_running = False

    def close(self) -> None:
        """Close every socket and end every thread; may be repeated.

        Where `run` still serves, in another thread, have it drain instead.
        """
        with self._lock:
            self._request.make()
            if not self._is_running:
                self._server.close()


def run_paste(wsgi_app: Callable, global_conf: dict[str, str] | None,
              name: str = WSGIHTTPServer.SERVER_IDENT,
              host: str = '127.0.0.1', port: int | str = 8080,
              threads: int | str = 4) -> None:
    """Serve an application until SIGTERM or SIGINT, and drain.

    Since zope.server 6 the entry point of PasteDeploy is
    `zope.server.runner.run`, which has more options.
    """
    task_dispatcher = ThreadedTaskDispatcher()
    task_dispatcher.setThreadCount(int(threads))
    with closing(WSGIHTTPServer(wsgi_app, name, host, int(port),
                                task_dispatcher)) as server:
        server.run()
