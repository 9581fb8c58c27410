"""Workers that are used up: replace them one at a time, as a roll does.

A worker is used up when it has served `max_requests` requests, as it says
itself, or takes more memory than `max_memory`, as its parent sees.  Then one
worker more than the target is wanted.  Once that one is registered, the
worker that is used up drains, and the next one's turn comes when it has
ended.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator

from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds between two looks at the memory of the workers.
LOOK_S = 5.0


class Recycling:
    """Watches a pool for workers that are used up, and replaces them."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._look_at: float | None = None
        # The worker whose turn it is.
        self._turn: Worker | None = None
        # The last worker that was replaced, until it has ended.
        self._leaving: Worker | None = None

    def step(self, now: float) -> None:
        """Look for a worker that is used up; go on replacing it."""
        self._look(now)
        pool = self._pool
        if self._leaving not in pool.workers:
            self._leaving = None
        if self._turn not in pool.active:
            self._turn = None
        if self._turn is None and self._leaving is None:
            self._begin()
        elif self._turn is not None and self._has_successor(self._turn):
            logger.info('stopping %s, which %s', self._turn,
                        self._turn.used_up)
            pool.stop(self._turn, now)
            self._turn, self._leaving = None, self._turn
        pool.successors = int(self._turn is not None)

    def pause(self) -> None:
        """Leave the workers to a rolling restart, or to the stop."""
        self._turn = None
        self._pool.successors = 0

    def _begin(self) -> None:
        for worker in self._pool.active:
            if (worker.used_up and worker.registered_at is not None
                    and worker.substituted_at is None):
                self._turn = worker
                logger.info('%s %s: replacing it', worker, worker.used_up)
                return

    def _has_successor(self, old: Worker) -> bool:
        """Return whether clients find enough workers without `old`."""
        others = [worker for worker in self._pool.active
                  if worker is not old and worker.registered_at is not None
                  and worker.substituted_at is None]
        # Others may be unhealthy, which has remedies of its own.
        return len(others) >= self._pool.target and others[-1].is_registered

    # Memory.

    def _look(self, now: float) -> None:
        """Mark workers that take too much memory, at intervals."""
        watched = [worker for worker in self._pool.watched
                   if worker.options.max_memory and not worker.used_up]
        is_due = self._look_at is None or now >= self._look_at
        if is_due:
            self._look_at = now + LOOK_S if watched else None
        for worker in watched:
            if is_due or worker.first_memory is None:
                self._weigh(worker)

    def _weigh(self, worker: Worker) -> None:
        size = memory(worker.pid)
        limit = worker.options.max_memory
        if worker.first_memory is None:
            worker.first_memory = size
            if size > limit:
                # Another one would be as large: they would be replaced for
                # ever.
                logger.error(
                    "option 'max_memory': %s takes %s as soon as it is"
                    ' registered, and the limit is %s: not replacing it for'
                    ' that', worker, mebibytes(size), mebibytes(limit))
        elif size > limit >= worker.first_memory:
            worker.used_up = (f'takes {mebibytes(size)} of memory'
                              f' (max_memory: {mebibytes(limit)})')

    def deadlines(self) -> Iterator[float]:
        """Return the time at which to look at the memory again."""
        if self._look_at is not None:
            yield self._look_at


def memory(pid: int) -> int:
    """Return the bytes of a process that are in memory (its RSS).

    0 for a process that has ended.
    """
    # Imported here: only a parent with the option needs it.
    import psutil
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def mebibytes(size: int) -> str:
    """Return a size as text, in MiB."""
    return f'{size / 2 ** 20:.1f} MiB'
