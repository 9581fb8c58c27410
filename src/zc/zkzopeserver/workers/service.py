"""A worker's own side: a service that answers to its parent."""
from __future__ import annotations

import contextlib
import logging
import posixpath
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from zc.zkzopeserver import logconfig
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.service import Service
from zc.zkzopeserver.workers import title
from zc.zkzopeserver.workers.protocol import Limits
from zc.zkzopeserver.workers.protocol import Link

logger = logging.getLogger('zc.zkzopeserver.workers')

STOPPING = signal.SIGTERM, signal.SIGINT

# They are the parent's.  Who sends them to all processes of a service (as
# systemd does) must not end or halt workers, as they would by default.
IGNORED = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2


class WorkerService(Service):
    """A service of a worker: its parent is told of it, and obeyed."""

    def __init__(self, options: Options, application: Any,
                 on_registered: Callable[[], None], link: Link) -> None:
        super().__init__(options, application, on_registered)
        self._link = link
        self._limits = Limits.of(options)
        self.on_registered = self._tell_registered
        self._and_then = on_registered

    def run(self) -> None:
        """As `Service.run`, with an ear for the parent and for signals."""
        title.set_title('worker')
        self._link.hello(self._limits)
        self._link.attend({'reopen': self._reopen, 'hurry': self.hurry},
                          self.request_stop, self._limits.stop_s)
        try:
            # However often: a worker is told to stop by its parent, and at
            # the same time perhaps by systemd, which tells all processes of
            # a service.  Only its parent hurries it.
            with signals(self.request_stop):
                super().run()
        finally:
            self._link.close()

    def start(self) -> None:
        """As `Service.start`; then the serving loop is heard."""
        super().start()
        self._begin_beating()

    def wait(self) -> None:
        """As `Service.wait`; the parent hears of a request to stop.

        It does not when the service failed: that is a death, not a stop.
        """
        super().wait()
        self._link.stopping()

    def _is_ready(self) -> bool:
        is_ready = super()._is_ready()
        if is_ready and self.options.wait == 'serve':
            self._link.serving()
        return is_ready

    def _tell_registered(self) -> None:
        address = ','.join(map(posixpath.basename, self.registration.paths))
        title.set_title(f'worker {address}')
        self._and_then()
        self._link.registered(address)

    def _begin_beating(self) -> None:
        """Have beats sent by whoever polls the connections.

        The thread only asks for them, and ends with the process.
        """
        interval_s = self._link.beat_interval_s
        if interval_s is None:
            return

        def ask() -> None:
            while not self.stopped.wait(interval_s):
                self.server.call(self._link.beat)

        threading.Thread(target=ask, name='zc.zkzopeserver.beat',
                         daemon=True).start()

    def _reopen(self) -> None:
        logconfig.reopen()
        if self.server is not None:
            self.server.reopen_logs()
        logger.info('log files opened anew')


@contextlib.contextmanager
def signals(stop: Callable[[], None]) -> Iterator[None]:
    """`stop` at its signals, the parent's ignored; restores the handlers."""
    if threading.current_thread() is not threading.main_thread():
        # Python takes signal handlers from the main thread only.
        yield
        return
    handlers = dict.fromkeys(STOPPING, lambda *_: stop())
    handlers |= dict.fromkeys(IGNORED, signal.SIG_IGN)
    old = {number: signal.signal(number, handler)
           for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None: set by something that is not Python.
            signal.signal(number, handler or signal.SIG_DFL)
