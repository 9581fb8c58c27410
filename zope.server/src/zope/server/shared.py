"""What the connections of a server have in common."""
from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from zope.server.accesslog import AccessLog
from zope.server.buffers import BufferPool
from zope.server.files import FileWrapper
from zope.server.gather import Flusher
from zope.server.headers import http_date
from zope.server.metrics import Meter
from zope.server.poller import Poller
from zope.server.poller import make_poller
from zope.server.proxies import Proxies
from zope.server.refusals import RefusalLog
from zope.server.settings import Settings
from zope.server.tracelog import TraceLog


class SharedState:
    """The state that connections share.

    `lock` guards to which thread a connection belongs (see `connection`), and
    the loop's counts.  `poller` is there from `open` to `close`; `must_arm`
    is the poller's.  `environ` is the part of WSGI environments that is the
    same for all requests.

    `is_draining` has responses announce the end of their connections, and
    `is_cutting` has requests that were not begun dropped.  Both are set by
    the engine, and are here because each response reads them.  `flusher` sends
    what responses gather, and `refusals` logs requests that are refused.
    `meter` is None where connections do not count.
    `proxies` is None where nothing is known of proxies in front.

    `now` is the time of the loop's last turn, as of time.monotonic().  `date`
    and `server` are lines of a response's head, and `tail` its end with both.
    """

    poller: Poller

    def __init__(self, application: Callable, address: tuple[str, int],
                 settings: Settings, trace: TraceLog | None = None,
                 access_log: AccessLog | None = None,
                 meter: Meter | None = None) -> None:
        self.application = application
        self.settings = settings
        self.trace = trace
        self.access_log = access_log
        self.meter = meter
        self.lock = threading.Lock()
        self.buffer_pool = BufferPool(settings.body_memory)
        self.flusher = Flusher()
        self.refusals = RefusalLog()
        self.proxies = (Proxies(settings) if settings.trusted_proxy
                        or settings.url_prefix else None)
        self.is_draining = False
        self.is_cutting = False
        self.environ = self._environ(address)
        self.must_arm = False
        self._second = 0
        self.tick()

    def open(self) -> None:
        """Open the poller.

        Not before the server starts: a process that was forked until then
        shares none with its parent.
        """
        self.environ['wsgi.errors'] = sys.stderr
        self.poller = make_poller(self.settings.use_epoll)
        self.must_arm = self.poller.must_arm

    def close(self) -> None:
        """Close the poller."""
        self.poller.close()

    def tick(self) -> None:
        """Read the clock: once a turn is enough for all connections."""
        self.now = time.monotonic()
        seconds = time.time()
        second = int(seconds)
        if self.access_log is not None:
            self.access_log.tick(second)
        if second != self._second:
            self._second = second
            self.date = f'Date: {http_date(seconds)}\r\n'
            name = self.settings.name
            self.server = f'Server: {name}\r\n' if name else ''
            self.tail = f'{self.server}{self.date}\r\n'

    def _environ(self, address: tuple[str, int]) -> dict[str, Any]:
        settings = self.settings
        return {
            'GATEWAY_INTERFACE': 'CGI/1.1',
            'SERVER_NAME': address[0],
            'SERVER_PORT': str(address[1]),
            # It must not be empty (RFC 3875, 4.1.17).
            'SERVER_SOFTWARE': settings.name or 'zope.server',
            'SCRIPT_NAME': settings.url_prefix,
            'wsgi.version': (1, 0),
            'wsgi.url_scheme': settings.url_scheme,
            'wsgi.errors': sys.stderr,
            'wsgi.multithread': settings.threads > 1,
            'wsgi.multiprocess': settings.multiprocess,
            'wsgi.run_once': False,
            'wsgi.input_terminated': True,
            'wsgi.file_wrapper': FileWrapper,
            # These are here only to have their place in each copy: a dict
            # that has not to grow is made faster.
            'wsgi.input': None,
            'REQUEST_METHOD': '',
            'REQUEST_URI': '',
            'PATH_INFO': '',
            'QUERY_STRING': '',
            'REMOTE_ADDR': '',
            'REMOTE_PORT': '',
            'SERVER_PROTOCOL': 'HTTP/1.1',
        }
