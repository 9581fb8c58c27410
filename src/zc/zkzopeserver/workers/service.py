"""A worker's own side: a service that talks to its parent."""
from __future__ import annotations

import logging
import posixpath
import random
import time
from collections.abc import Callable
from typing import Any

from zc.zkzopeserver import rotation
from zc.zkzopeserver import signals
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.service import Service
from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.workers.protocol import Link
from zc.zkzopeserver.workers.protocol import WorkerOptions
from zc.zkzopeserver.workers.protocol import set_title

logger = logging.getLogger('zc.zkzopeserver.workers')

# How often a worker without a parent looks for a new one, in seconds.
ORPHAN_LOOK_S = 0.1


class WorkerService(Service):
    """A service that tells its parent how it is, and does what that says."""

    def __init__(self, options: Options, application: Any,
                 on_registered: Callable[[], None], link: Link,
                 session_file: SessionFile | None = None) -> None:
        super().__init__(options, application, on_registered, session_file)
        self._link = link
        self._worker_options = WorkerOptions.of(options)
        # 0 for no limit.
        self._max_requests = options.max_requests and (
            options.max_requests
            + random.randint(0, options.max_requests_jitter))

    def run(self) -> None:
        """Run as `Service.run`, and obey the parent and its signals."""
        set_title('worker')
        self._link.hello(self._worker_options)
        self._link.attend(
            {'reopen': self._reopen_all_logs, 'hurry': self.force_exit},
            self._outlive_parent, self._worker_options.stop_s)
        try:
            with signals.stopping_worker(self):
                super().run()
        finally:
            self._link.close()

    def start(self) -> None:
        """Start as `Service.start`, and send the parent beats."""
        super().start()
        if self._link.beat_interval_s is not None:
            self._call_in_loop(self._beat, self._link.beat_interval_s,
                               'zc.zkzopeserver.beat')

    def _beat(self) -> None:
        self._link.beat()
        if self._max_requests:
            served = self.parts.server.statistics().requests
            if served >= self._max_requests:
                # Again at each beat: the channel may have been full.
                self._link.used(served)

    def wait(self) -> None:
        """Wait as `Service.wait`, and tell the parent of the stop.

        A service that failed tells nothing: that is a death, not a stop.
        """
        super().wait()
        self._link.stopping()

    def _outlive_parent(self) -> None:
        """Serve on without the parent for a while, and then stop.

        Called in the thread that has heard the parent.  It goes on as long as
        a new parent keeps this worker, and until that tells it to go.
        """
        timeout_s = self.options.orphan_timeout
        if timeout_s and not self._stopping.is_set():
            logger.warning('the parent process is gone: serving on for %g s,'
                           ' or until a new one takes over', timeout_s)
            why = self._serve_on(timeout_s)
        else:
            why = 'the parent process is gone'
        logger.warning('%s: stopping', why)
        self.request_stop()

    def _serve_on(self, timeout_s: float) -> str:
        """Wait as an orphan; return why that is over."""
        file = self._session_file
        ends_at = time.monotonic() + timeout_s
        while not self._stopping.wait(ORPHAN_LOOK_S):
            now = time.monotonic()
            if file is not None and file.is_dismissed():
                return 'a new parent has taken over'
            if file is not None and file.is_adopted():
                ends_at = now + timeout_s
            elif now >= ends_at:
                return 'no new parent has come'
        return 'the parent process is gone'

    def _keep_session(self, key: SessionKey | None) -> None:
        super()._keep_session(key)
        self._link.session(key)

    def _tell_trouble(self, trouble: str) -> None:
        self._link.trouble(trouble)

    def _tell_about_to_hang(self, is_so: bool) -> None:
        self._link.about_to_hang(is_so)

    def _tell_serving(self) -> None:
        self._link.serving()

    def _tell_registered(self) -> None:
        address = ','.join(map(posixpath.basename,
                               self.parts.registration.paths))
        set_title(f'worker {address}')
        self._on_registered()
        if self._link.beat_interval_s is not None:
            # From now on this worker is missed.
            self._link.beat()
        self._link.registered(address)

    def _reopen_all_logs(self) -> None:
        rotation.reopen([self])
