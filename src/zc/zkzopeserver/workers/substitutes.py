"""Workers that answer nobody, or soon will not: others take their place.

A worker that hangs, or is silent, is out of ZooKeeper, and may be for long. So
another one is started, and the old one is kept: it may still answer the
requests that it has. Once it goes on it finishes these, and leaves; with
``hung_kill_after`` it is ended when it does not go on in time.

Where all workers hang, in something that they share, more of them would hang
as well. So a quarter of the workers, at least one, can be replaced like this
at a time.
"""
from __future__ import annotations

import logging

from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# The part of the workers that may be replaced at a time: one of this number.
ONE_OF = 4

# The longest time of silence after which a worker gets a substitute.
MAX_OVERDUE_S = 60.0


class Substitutes:
    """Watches a pool for workers that are stuck, and for their return."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def step(self, now: float) -> None:
        """Have workers replaced, or stopped when they go on."""
        pool = self._pool
        if any(worker.had_false_alarm for worker in pool.watched):
            # One worker's false alarm counts for its substitutes, too: they
            # run the same application.  An alarm that goes on may be right.
            for worker in pool.watched:
                worker.had_false_alarm |= not worker.is_about_to_hang
        for worker in pool.substituted:
            if not worker.is_stuck:
                self._go_on(worker, now)
        room = max(pool.target // ONE_OF, 1) - len(pool.substituted)
        stuck = [worker for worker in pool.watched
                 if worker.is_stuck and worker.substituted_at is None]
        for worker in stuck[:max(room, 0)]:
            worker.substituted_at = now
            worker.was_overdue = worker.is_overdue
            logger.warning('%s %s: another one takes its place', worker,
                           'answers nobody' if worker.answers_nobody
                           else 'is about to hang')

    def _go_on(self, worker: Worker, now: float) -> None:
        others = [each for each in self._pool.registered
                  if each is not worker and each.substituted_at is None]
        if len(others) >= self._pool.target:
            logger.info('stopping %s, which goes on: another one has taken its'
                        ' place', worker)
            self._pool.stop(worker, now)
        else:
            # It is needed; the one that starts is not.
            worker.substituted_at = None
            if worker.was_overdue:
                # Where each start keeps others from running, the next one has
                # to come later.  An alarm that it would hang tells nothing of
                # silence.
                worker.overdue_s = min(worker.overdue_s * 2, MAX_OVERDUE_S)
            logger.info('%s goes on, and keeps its place', worker)
