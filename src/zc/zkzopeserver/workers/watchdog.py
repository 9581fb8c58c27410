"""systemd's watchdog, for several processes.

The parent sends systemd WATCHDOG=1 (sd_notify(3)) while all is well.  Each
worker sends the parent beats from its serving loop.  A worker that is silent
for longer than systemd's time is ended and replaced, before systemd acts.
Only a worker that even SIGKILL does not end keeps the parent from telling
systemd.
"""
from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

from zc.zkzopeserver import systemd
from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds from SIGABRT, at which faulthandler writes where the threads are, to
# SIGKILL; never more than half an interval.
ABORT_S = 2.0


class Watchdog:
    """Watches a pool; `interval_s` is half of systemd's time, in seconds."""

    def __init__(self, pool: WorkerPool, interval_s: float) -> None:
        self._pool = pool
        self._interval_s = interval_s
        self._next = 0.0
        self._hung: list[Worker] = []

    def look(self, now: float) -> None:
        """End the hung workers, and tell systemd when it is time to."""
        for worker in self._pool.watched:
            silence_s = worker.silence_s(now)
            if silence_s is not None and silence_s > 2 * self._interval_s:
                self._end(worker, silence_s, now)
        self._hung = [worker for worker in self._hung
                      if worker in self._pool.workers]
        if now >= self._next:
            self._next = now + self._interval_s
            if not self._hung:
                systemd.notify('WATCHDOG=1')

    def _end(self, worker: Worker, silence_s: float, now: float) -> None:
        logger.error('%s hangs, its serving loop was last heard of %.1f s ago:'
                     ' killing it', worker, silence_s)
        worker.stop(now + min(ABORT_S, self._interval_s / 2), signal.SIGABRT)
        self._hung.append(worker)

    def deadlines(self) -> Iterator[float]:
        """Return the time at which to look again."""
        yield self._next
