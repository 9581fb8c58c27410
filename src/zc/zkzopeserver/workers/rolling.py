"""A rolling restart: one new worker in, then one old worker out.

Clients always find as many workers as before.  When a new worker does not
come up, the old ones that are left stay.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator

from zc.zkzopeserver.workers.pool import Crew
from zc.zkzopeserver.workers.pool import late_at
from zc.zkzopeserver.workers.process import Worker

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds that a worker which did not come up gets for its end.
GIVE_UP_S = 5


class Roll:
    """One rolling restart of a crew; `step` it until it `is_over`."""

    def __init__(self, crew: Crew, now: float) -> None:
        self.is_over = False
        #: Why it was given up; empty unless it was.
        self.failure = ''
        self._crew = crew
        self._began_at = now
        self._replaced = 0
        self._fresh: Worker | None = None
        # Before the new generation: `old` is all that there are now.
        crew.generation += 1
        logger.info('rolling restart of %d workers', len(self.old))

    @property
    def old(self) -> list[Worker]:
        """Those that are still to be replaced, in this order.

        First those that clients do not find, then the oldest.
        """
        return sorted((worker for worker in self._crew.staying
                       if worker.generation < self._crew.generation),
                      key=lambda worker: worker.is_registered)

    def step(self, now: float) -> None:
        """Do what can be done now."""
        crew = self._crew
        if self._fresh is not None and self._fresh.is_starting:
            if now >= late_at(self._fresh):
                self._too_late(now)
        elif self._is_draining():
            pass
        elif len(crew.staying) < crew.target + bool(self.old):
            self._fresh = crew.start(now)
            if self._fresh is None:
                self._give_up('; '.join(crew.unborn))
                crew.unborn.clear()
        elif self.old:
            self._replaced += 1
            worker = self.old[0]
            logger.info('stopping %s, %d more to go', worker,
                        len(self.old) - 1)
            crew.stop(worker, now)
        else:
            self.is_over = True
            logger.info('rolling restart done: %d workers replaced in %.1f s',
                        self._replaced, now - self._began_at)

    def _is_draining(self) -> bool:
        return any(worker.is_leaving and worker.was_told
                   and worker.generation < self._crew.generation
                   for worker in self._crew.members)

    def _too_late(self, now: float) -> None:
        worker = self._fresh
        worker.stop(now + GIVE_UP_S)
        self._give_up(f'{worker} was not registered in'
                      f' {now - worker.started_at:.0f} s')

    def died(self, worker: Worker, how: str) -> bool:
        """A worker died; whether it was ours, and this has given up."""
        if worker.generation < self._crew.generation:
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
        """When something is to be done even if nothing happens."""
        if self._fresh is not None and self._fresh.is_starting:
            yield late_at(self._fresh)
