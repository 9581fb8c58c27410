"""Serve until SIGTERM or SIGINT: `serve` in Python, `run` from an ini.

`run` is the ``paste.server_runner`` `main`, ``use = egg:zope.server`` in an
ini.  The launcher imports PasteDeploy; this module does not need it.
"""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zope.server import switching
from zope.server.options import SettingsError
from zope.server.options import parse_texts
from zope.server.options import section_name
from zope.server.server import Server
from zope.server.settings import LISTENING
from zope.server.settings import conflicts
from zope.server.settings import rows
from zope.server.values import format_address

logger = logging.getLogger('zope.server')

STOP_SIGNALS = signal.SIGTERM, signal.SIGINT
# timeout(1) signals its child and then the child's group: stop signals within
# this time are one request.
SAME_REQUEST_S = 0.5
# A signal that arrives just before the main thread begins to wait does not
# wake it; its handler runs at the next look.
LOOK_S = 1.0

# An ini without these options means what it meant to zope.server 5.
DEFAULTS = {'host': '127.0.0.1', 'port': 8080, 'threads': 4}
OPTIONS = {row.name: dataclasses.replace(
    row, default=DEFAULTS.get(row.name, row.default)) for row in rows()}


class StopRequest:
    """A request to stop, made by signal handlers or by another thread.

    `is_repeated` turns true once a stop is asked for again, later than
    SAME_REQUEST_S after the first time.
    """

    def __init__(self) -> None:
        self.is_repeated = False
        self._first_at: float | None = None
        # SimpleQueue.put is reentrant, so a signal handler may call it.
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()

    def make(self) -> None:
        """Ask for the stop; safe in signal handlers."""
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
            self._queue.put(None)
        elif now - self._first_at >= SAME_REQUEST_S:
            self.is_repeated = True

    def wait(self) -> None:
        """Return once the stop has been asked for."""
        while self._first_at is None:
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=LOOK_S)


def serve(application: Callable, *,
          graceful_timeout: float = LISTENING['graceful_timeout'].default,
          switch_interval: float = LISTENING['switch_interval'].default,
          **arguments: Any) -> None:
    """Serve `application` until SIGTERM or SIGINT, and drain.

    `arguments` are those of `Server`.  The drain ends after
    `graceful_timeout` seconds.  A second signal ends it, and the requests in
    flight, at once: then raise SystemExit with status 1.  Meanwhile threads
    take turns every `switch_interval` seconds (`zope.server.switching`).
    """
    server, request = Server(application, **arguments), StopRequest()

    def start() -> None:
        server.start()
        logger.info('serving on %s', format_address(server.address))

    with switching.switch_interval(switch_interval):
        serve_until(request, server, start, graceful_timeout)
    if request.is_repeated:
        raise SystemExit(1)


def run(application: Callable, global_conf: Mapping[str, str] | None = None,
        /, **local_conf: str) -> None:
    """Serve `application` as an ini says, until SIGTERM or SIGINT.

    `local_conf` has the options of the ini, by name; see `serve` for the
    stop.  Raise SettingsError with all that is wrong in the options before a
    socket exists, and ServerError when the server cannot listen.
    """
    values, problems = parse_texts(OPTIONS, local_conf)
    problems += conflicts(values)
    if problems:
        raise SettingsError(problems, section_name(global_conf))
    serve(application, **{name: values.get(name, option.default)
                          for name, option in OPTIONS.items()})


def serve_until(request: StopRequest, server: Server,
                start: Callable[[], None], graceful_timeout_s: float) -> None:
    """Call `start`, wait for the request to stop, drain `server`, close it.

    SIGTERM and SIGINT make the request, if this is the main thread.  The
    drain ends after `graceful_timeout_s`, or at once if the request is
    repeated.
    """
    with calling(request.make):
        try:
            start()
            request.wait()
            server.drain(graceful_timeout_s, lambda: request.is_repeated)
        finally:
            server.close()


@contextlib.contextmanager
def calling(function: Callable[[], None]) -> Iterator[None]:
    """Have `function` called at each stop signal; restore old handlers.

    Only the main thread can install handlers: in another one, do nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, lambda *_: function())
           for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None: the handler was not installed by Python.
            signal.signal(number, handler or signal.SIG_DFL)
