"""The workers of a parent: which there are, and how many there should be."""
from __future__ import annotations

import logging
import selectors
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zkzopeserver.workers.backoff import Backoff
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.protocol import Limits

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds that a worker may live on after its channel was closed.
DEAF_S = 5

# Seconds beyond `ready_timeout` after which a worker is late.
LATE_S = 60


class Crew:
    """Starts workers, hears them, stops them, and buries the dead.

    It does not decide what a death means; the parent does.
    """

    def __init__(self, limits: Limits, command: Sequence[str],
                 selector: selectors.BaseSelector,
                 beat_interval_s: float | None = None) -> None:
        #: The options as the worker that was registered last read them.
        self.limits = limits
        #: How many workers there should be.
        self.target = limits.workers
        #: How many rolling restarts have begun.
        self.generation = 0
        self.backoff = Backoff()
        #: All that run, the oldest first.
        self.members: list[Worker] = []
        #: Why workers could not even be started, for the parent to take.
        self.unborn: list[str] = []
        self.beat_interval_s = beat_interval_s
        self._command = command
        self._selector = selector
        self._said_late: set[int] = set()

    @property
    def staying(self) -> list[Worker]:
        """Those that have not begun to leave."""
        return [worker for worker in self.members if not worker.is_leaving]

    @property
    def registered(self) -> list[Worker]:
        """Those that clients find."""
        return [worker for worker in self.members if worker.is_registered]

    # One worker.

    def start(self, now: float) -> Worker | None:
        """Start a worker; None, and `unborn` says why, when that fails."""
        try:
            worker = Worker(self._command, self.limits, self.generation,
                            self.beat_interval_s)
        except OSError as reason:
            self.unborn.append(f'cannot start a worker: {reason}')
            return None
        self.members.append(worker)
        self._selector.register(worker, selectors.EVENT_READ, worker)
        logger.info('started %s', worker)
        return worker

    def stop(self, worker: Worker, now: float) -> None:
        """Tell a worker to stop, with the time that its options give it."""
        worker.stop(now + worker.limits.stop_s)

    def hear(self, worker: Worker, now: float) -> None:
        """Take in what a worker says."""
        for news in worker.receive(now):
            if news == 'registered':
                self._is_registered(worker)
            elif news == 'stopping':
                logger.info('%s stops, and not at our request', worker)
        if worker.deaf_since is not None:
            self._unwatch(worker)

    def _is_registered(self, worker: Worker) -> None:
        self.backoff.registered()
        if worker.limits.workers != self.limits.workers:
            self.want(worker.limits.workers)
        self.limits = worker.limits
        logger.info('%s is registered (%d now, %d wanted)', worker,
                    len(self.registered), self.target)

    def _unwatch(self, worker: Worker) -> None:
        if worker.fileno() in self._selector.get_map():
            self._selector.unregister(worker)

    # All of them.

    def want(self, target: int) -> None:
        """Have so many workers from now on, one at least."""
        self.target = max(target, 1)
        logger.info('%d workers are wanted', self.target)

    def keep_number(self, now: float) -> None:
        """Start what is missing, unless it is too soon; stop the surplus."""
        staying = self.staying
        surplus = len(staying) - self.target
        if surplus > 0:
            # Those that clients don't find first, then the oldest.
            staying.sort(key=lambda worker: worker.is_registered)
            for worker in staying[:surplus]:
                logger.info('stopping %s: %d are wanted', worker, self.target)
                self.stop(worker, now)
        elif now >= self.backoff.ready_at:
            for _ in range(self._startable(staying)):
                if self.start(now) is None:
                    break

    def _startable(self, staying: list[Worker]) -> int:
        missing = self.target - len(staying)
        if self.backoff.early and missing:
            # One tries for all, after a death at the start.
            return int(not any(worker.is_starting for worker in staying))
        return missing

    def enforce(self, now: float) -> None:
        """End those whose time is over, and stop those who hear nothing."""
        for worker in self.members:
            if worker.kill_at is not None and now >= worker.kill_at:
                logger.warning('%s has not stopped in time: killing it',
                               worker)
                worker.kill()
            elif (not worker.is_leaving and worker.deaf_since is not None
                    and now >= worker.deaf_since + DEAF_S):
                logger.warning('%s has closed the channel to its parent:'
                               ' stopping it', worker)
                self.stop(worker, now)

    def complain(self, now: float) -> None:
        """Log once about each worker that is long in being registered."""
        for worker in self.members:
            if (worker.is_starting and now >= late_at(worker)
                    and worker.pid not in self._said_late):
                self._said_late.add(worker.pid)
                logger.warning(
                    '%s is not registered after %.0f s; its own lines in the'
                    ' log say why', worker, now - worker.started_at)

    def bury(self, now: float) -> list[tuple[Worker, int]]:
        """Remove those that have ended; each with its exit status."""
        dead = [(worker, status) for worker in self.members
                if (status := worker.status()) is not None]
        for worker, _ in dead:
            self.hear(worker, now)
            self._unwatch(worker)
            worker.close()
            self._said_late.discard(worker.pid)
            self.members.remove(worker)
        return dead

    def deadlines(self) -> Iterator[float]:
        """When something is to be done even if nothing happens."""
        if len(self.staying) < self.target:
            yield self.backoff.ready_at
        for worker in self.members:
            if worker.kill_at is not None:
                yield worker.kill_at
            elif worker.deaf_since is not None:
                yield worker.deaf_since + DEAF_S
            if worker.is_starting and worker.pid not in self._said_late:
                yield late_at(worker)


def late_at(worker: Worker) -> float:
    """When a worker that is still not registered is late."""
    return worker.started_at + worker.limits.ready_timeout + LATE_S
