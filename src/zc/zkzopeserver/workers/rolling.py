"""A rolling restart: start one new worker, then stop one old worker.

Clients always find as many workers as before.  When a new worker does not
come up, the old workers that are left stay.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator

from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.pool import late_at
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds that a worker which did not come up gets for its end.
GIVE_UP_S = 5


class RollingRestart:
    """One rolling restart of a pool; `step` it until it `is_over`."""

    def __init__(self, pool: WorkerPool, now: float) -> None:
        self.is_over = False
        #: Why it was given up; empty unless it was.
        self.failure = ''
        self._pool = pool
        self._began_at = now
        self._replaced = 0
        self._newest: Worker | None = None
        # This makes all present workers old.
        pool.generation += 1
        logger.info('rolling restart of %d workers', len(self.old))

    @property
    def old(self) -> list[Worker]:
        """The workers that are still to be replaced, in this order.

        First the workers that clients do not find, then the oldest.
        """
        return sorted((worker for worker in self._pool.active
                       if worker.generation < self._pool.generation),
                      key=lambda worker: worker.is_registered)

    def step(self, now: float) -> None:
        """Start or stop one worker, if it is time to."""
        pool = self._pool
        if self._newest is not None and self._newest.is_starting:
            if now >= late_at(self._newest):
                self._give_up_late(self._newest, now)
        elif self._is_draining():
            pass
        elif len(pool.active) < pool.target + bool(self.old):
            self._newest = pool.start()
            if self._newest is None:
                self._give_up('; '.join(pool.spawn_errors))
                pool.spawn_errors.clear()
        elif self.old:
            self._replaced += 1
            worker = self.old[0]
            logger.info('stopping %s, %d more to go', worker,
                        len(self.old) - 1)
            pool.stop(worker, now)
        else:
            self.is_over = True
            logger.info('rolling restart done: %d workers replaced in %.1f s',
                        self._replaced, now - self._began_at)

    def _is_draining(self) -> bool:
        return any(worker.is_stopping and worker.stop_requested
                   and worker.generation < self._pool.generation
                   for worker in self._pool.workers)

    def _give_up_late(self, worker: Worker, now: float) -> None:
        worker.stop(now + GIVE_UP_S)
        self._give_up(f'{worker} was not registered in'
                      f' {now - worker.started_at:.0f} s')

    def died(self, worker: Worker, how: str) -> bool:
        """Give up if a new worker has died; return whether it was one.

        `how` is the text of `zc.zkzopeserver.workers.process.describe`.
        """
        if worker.generation < self._pool.generation:
            return False
        when = 'before' if worker.registered_at is None else 'after'
        self._give_up(f'{worker} {how} {when} it was registered')
        return True

    def _give_up(self, failure: str) -> None:
        self.is_over = True
        self.failure = failure
        logger.error('rolling restart given up: %s; %d old workers stay',
                     failure, len(self.old))

    def deadlines(self) -> Iterator[float]:
        """Return the times at which to step even if nothing happens."""
        if self._newest is not None and self._newest.is_starting:
            yield late_at(self._newest)
