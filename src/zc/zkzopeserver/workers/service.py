"""A worker's own side: a service that answers to its parent."""
from __future__ import annotations

import logging
import posixpath
import threading
from collections.abc import Callable
from typing import Any

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import signals
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.service import Service
from zc.zkzopeserver.workers import title
from zc.zkzopeserver.workers.protocol import Limits
from zc.zkzopeserver.workers.protocol import Link

logger = logging.getLogger('zc.zkzopeserver.workers')


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
        self._link.attend({'reopen': self._reopen, 'hurry': self.force_exit},
                          self.request_stop, self._limits.stop_s)
        try:
            with signals.stopping_worker(self):
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
        self.reopen_logs()
        logger.info('log files opened anew')
