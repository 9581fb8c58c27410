"""systemd's watchdog, for several processes.

The parent tells systemd that all is well, as long as it is.  The workers tell
the parent, each from its serving loop; one that is silent for longer than the
watchdog's time is ended and replaced, and systemd has nothing to do.  Only a
worker that cannot even be killed keeps the parent from telling systemd.
"""
from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

from zc.zkzopeserver import systemd
from zc.zkzopeserver.workers.pool import Crew
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds from SIGABRT, at which faulthandler writes where the threads are, to
# SIGKILL; never more than half an interval.
LAST_WORDS_S = 2.0


class Watchdog:
    """Watches a crew; `interval_s` is half of systemd's time, or None."""

    def __init__(self, interval_s: float | None) -> None:
        self.interval_s = interval_s
        self._looked_at: float | None = None
        self._next = 0.0
        self._hung: list[Worker] = []

    @property
    def beat_interval_s(self) -> float | None:
        """How often workers are to beat."""
        return None if self.interval_s is None else self.interval_s / 2

    def look(self, crew: Crew, now: float) -> None:
        """End the hung workers, and tell systemd when it is time to."""
        if self.interval_s is None:
            return
        self._forgive(crew, now)
        for worker in beating(crew):
            if now - worker.beat_at > 2 * self.interval_s:
                self._end(worker, now)
        self._hung = [worker for worker in self._hung
                      if worker in crew.members]
        if now >= self._next:
            self._next = now + self.interval_s
            if not self._hung:
                systemd.notify('WATCHDOG=1')

    def _forgive(self, crew: Crew, now: float) -> None:
        """Blame nobody for a time in which we ourselves did not run."""
        last, self._looked_at = self._looked_at, now
        if last is not None and now - last > 2 * self.interval_s:
            logger.warning('this process did not run for %.1f s', now - last)
            for worker in beating(crew):
                worker.beat_at = now

    def _end(self, worker: Worker, now: float) -> None:
        logger.error('%s hangs, its serving loop was last heard of %.1f s ago:'
                     ' killing it', worker, now - worker.beat_at)
        worker.stop(now + min(LAST_WORDS_S, self.interval_s / 2),
                    signal.SIGABRT)
        self._hung.append(worker)

    def deadlines(self) -> Iterator[float]:
        """When to look again."""
        if self.interval_s is not None:
            yield self._next


def beating(crew: Crew) -> list[Worker]:
    """The registered workers whose serving loops were heard at all."""
    return [worker for worker in crew.registered
            if worker.beat_at is not None]
