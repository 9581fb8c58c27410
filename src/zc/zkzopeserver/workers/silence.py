"""Workers that stand still: the parent takes them out of ZooKeeper.

Each worker sends the parent beats from its serving loop.  One that is silent
answers no client either: it was stopped by SIGSTOP, swaps, or holds Python's
global lock.  Its ZooKeeper client may be alive all the same, or the session
may still have seconds to live.  The parent ends the session, and not the
process.  A worker that goes on finds the session lost, starts another, and
registers again.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator

from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds between two beats of a worker.
BEAT_S = 0.5

# A worker that was not heard for this time is silent.
SILENT_S = 2.0

# A parent that did not look for this time did not run.
GAP_S = 1.5


class SilenceWatch:
    """Watches a pool for workers that are silent, or were."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._looked_at: float | None = None
        # Whether there was a worker to watch then: else no look was due.
        self._was_due = False

    def look(self, now: float) -> None:
        """End the sessions of workers that have fallen silent."""
        self._forgive(now)
        self._was_due = bool(self._pool.watched)
        for worker in self._pool.watched:
            silence_s = worker.silence_s(now)
            if silence_s is None:
                continue
            worker.is_overdue = silence_s >= worker.overdue_s
            if worker.is_silent and silence_s < SILENT_S:
                worker.is_silent = False
                logger.warning('%s is heard again', worker)
            elif not worker.is_silent and silence_s >= SILENT_S:
                worker.is_silent = True
                self._end_session(worker, silence_s)

    def _forgive(self, now: float) -> None:
        """Blame no worker for a time in which the parent did not run."""
        last, self._looked_at = self._looked_at, now
        if self._was_due and last is not None and now - last > GAP_S:
            logger.warning('this process did not run for %.1f s', now - last)
            for worker in self._pool.watched:
                if worker.beat_at is not None:
                    worker.beat_at = max(worker.beat_at, now - BEAT_S)

    def _end_session(self, worker: Worker, silence_s: float) -> None:
        key = worker.session
        logger.error('%s is silent, its serving loop was last heard of %.1f s'
                     ' ago: ending its session', worker, silence_s)
        if key is not None:
            self._pool.sessions.end(
                key, str(worker),
                lambda: worker.is_silent and worker.session is key)

    def deadlines(self) -> Iterator[float]:
        """Return the times at which to look again."""
        if self._looked_at is None:
            return
        for worker in self._pool.watched:
            yield self._looked_at + BEAT_S
            if worker.beat_at is not None:
                yield worker.beat_at + worker.overdue_s
                yield worker.beat_at + SILENT_S
