"""The workers of a parent: which there are, and how many there should be."""
from __future__ import annotations

import logging
import random
import selectors
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.protocol import WorkerOptions
from zc.zkzopeserver.workers.sessions import SessionEnder

logger = logging.getLogger('zc.zkzopeserver.workers')

# Seconds that a worker may live on after its channel was closed.
CLOSED_CHANNEL_S = 5

# Seconds beyond `ready_timeout` after which a worker is late.
LATE_S = 60

# The first and the longest wait between two starts, without jitter.
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

# A worker that was registered for this time was sound.
SOUND_S = 10.0

# After this time without a death, the waits are short again.
QUIET_S = 60.0


class Backoff:
    """The time from which another worker may be started.

    A worker that was sound is replaced at once, and so is the first of the
    other workers that were registered.  After each further death the wait
    doubles, from FIRST_WAIT_S to LONGEST_WAIT_S, with up to a quarter of
    jitter.
    """

    def __init__(self) -> None:
        #: Deaths before registration since any worker was registered.
        self.early = 0
        #: From when on another may be started, on the clock of the caller.
        self.ready_at = 0.0
        self._deaths = 0
        self._last = 0.0

    def registered(self) -> None:
        """Count a worker that was registered."""
        self.early = 0

    def died(self, now: float, registered_for: float | None) -> float:
        """Count a death; return the seconds to wait.

        `registered_for` is the number of seconds for which the worker was
        registered, None for a worker that never was.
        """
        if now - self._last > QUIET_S:
            self._deaths = 0
        self._last = now
        if registered_for is None:
            self.early += 1
            self._deaths += 1
            wait = delay_s(self._deaths)
        elif registered_for >= SOUND_S:
            self._deaths = 0
            wait = 0.0
        else:
            self._deaths += 1
            wait = delay_s(self._deaths - 1)
        self.ready_at = now + wait
        return wait

    def reset(self) -> None:
        """Let workers be started at once, and the waits be short again."""
        self.early = self._deaths = 0
        self.ready_at = 0.0


def delay_s(deaths: int) -> float:
    """Return the seconds to wait after a number of deaths in a row."""
    if not deaths:
        return 0.0
    seconds = min(FIRST_WAIT_S * 2 ** min(deaths - 1, 10), LONGEST_WAIT_S)
    return seconds * random.uniform(0.75, 1)


class WorkerPool:
    """Starts workers, hears them, stops them, and reaps the dead.

    What a death means is for the supervisor to decide.  `now` is always the
    time of `time.monotonic`.
    """

    def __init__(self, options: WorkerOptions, command: Sequence[str],
                 selector: selectors.BaseSelector,
                 beat_interval_s: float | None = None,
                 session_file: SessionFile | None = None) -> None:
        #: The options as the worker that was registered last read them.
        self.options = options
        #: How many workers there should be.
        self.target = options.workers
        #: How many more there may be, to take the place of used-up ones.
        self.successors = 0
        #: How many rolling restarts have begun.
        self.generation = 0
        self.backoff = Backoff()
        #: All workers that run, the oldest first.
        self.workers: list[Worker] = []
        #: Why workers could not be started; the supervisor empties it.
        self.spawn_errors: list[str] = []
        self._beat_interval_s = beat_interval_s
        #: Ends the sessions of workers that have died or are silent.
        self.sessions = SessionEnder(session_file)
        self._command = command
        self._selector = selector
        self._said_late: set[int] = set()

    @property
    def active(self) -> list[Worker]:
        """The workers that have not begun to stop."""
        return [worker for worker in self.workers if not worker.is_stopping]

    @property
    def registered(self) -> list[Worker]:
        """The workers that clients find in ZooKeeper."""
        return [worker for worker in self.workers if worker.is_registered]

    @property
    def substituted(self) -> list[Worker]:
        """The workers that are stuck, and in whose place others serve."""
        return [worker for worker in self.active
                if worker.substituted_at is not None]

    @property
    def _wanted(self) -> int:
        return self.target + self.successors + len(self.substituted)

    @property
    def watched(self) -> list[Worker]:
        """The workers that were registered, and are to send beats."""
        return [worker for worker in self.active
                if worker.registered_at is not None]

    # One worker.

    def start(self) -> Worker | None:
        """Start a worker; None when that fails, with a spawn error."""
        try:
            worker = Worker(self._command, self.options, self.generation,
                            self._beat_interval_s)
        except OSError as error:
            self.spawn_errors.append(f'cannot start a worker: {error}')
            return None
        self.workers.append(worker)
        self._selector.register(worker, selectors.EVENT_READ, worker)
        logger.info('started %s', worker)
        return worker

    def stop(self, worker: Worker, now: float) -> None:
        """Tell a worker to stop within the time that its options give."""
        worker.stop(now + worker.options.stop_s)

    def receive(self, worker: Worker, now: float) -> None:
        """Act on the messages that have arrived from a worker."""
        for news in worker.receive(now):
            if news == 'registered':
                self._note_registered(worker)
            elif news == 'stopping':
                logger.info('%s stops, and not at our request', worker)
        if worker.channel_closed_at is not None:
            self._unwatch(worker)

    def _note_registered(self, worker: Worker) -> None:
        self.backoff.registered()
        if worker.options.workers != self.options.workers:
            self.scale(worker.options.workers)
        self.options = worker.options
        logger.info('%s is registered (%d now, %d wanted)', worker,
                    len(self.registered), self.target)

    def _unwatch(self, worker: Worker) -> None:
        if worker.fileno() in self._selector.get_map():
            self._selector.unregister(worker)

    # All workers.

    def scale(self, target: int) -> None:
        """Set how many workers there should be, at least one."""
        self.target = max(target, 1)
        logger.info('%d workers are wanted', self.target)

    def reconcile(self, now: float) -> None:
        """Start what is missing, unless it is too soon; stop the surplus."""
        active = self.active
        surplus = len(active) - self._wanted
        if surplus > 0:
            # First the workers that clients do not find, then the oldest.
            active.sort(key=lambda worker: worker.is_registered)
            for worker in active[:surplus]:
                logger.info('stopping %s: %d are wanted', worker, self.target)
                self.stop(worker, now)
        elif now >= self.backoff.ready_at:
            for _ in range(self._startable(active)):
                if self.start() is None:
                    break

    def _startable(self, active: list[Worker]) -> int:
        missing = self._wanted - len(active)
        if self.backoff.early and missing:
            # After a death at the start, one worker tries for all.
            return int(not any(worker.is_starting for worker in active))
        return missing

    def enforce_deadlines(self, now: float) -> None:
        """Kill workers whose time is over; stop workers that hear nothing.

        Workers that hang for too long are stopped as well.
        """
        for worker in self.workers:
            if worker.end_at is not None and now >= worker.end_at:
                logger.error('%s is still %s: ending it', worker,
                             worker.trouble or 'silent')
                self.stop(worker, now)
            if worker.kill_at is not None and now >= worker.kill_at:
                logger.warning('%s has not stopped in time: killing it',
                               worker)
                worker.kill()
            elif (not worker.is_stopping
                    and worker.channel_closed_at is not None
                    and now >= worker.channel_closed_at + CLOSED_CHANNEL_S):
                logger.warning('%s has closed the channel to its parent:'
                               ' stopping it', worker)
                self.stop(worker, now)

    def warn_late(self, now: float) -> None:
        """Log once about each worker whose registration takes too long."""
        for worker in self.workers:
            if (worker.is_starting and now >= late_at(worker)
                    and worker.pid not in self._said_late):
                self._said_late.add(worker.pid)
                logger.warning(
                    '%s is not registered after %.0f s; its own lines in the'
                    ' log say why', worker, now - worker.started_at)

    def reap(self, now: float) -> list[tuple[Worker, int]]:
        """Remove ended workers; return pairs of (worker, exit status)."""
        dead = [(worker, status) for worker in self.workers
                if (status := worker.status()) is not None]
        for worker, _ in dead:
            self.receive(worker, now)
            self._unwatch(worker)
            if worker.session is not None:
                self.sessions.end(worker.session, str(worker))
            worker.close()
            self._said_late.discard(worker.pid)
            self.workers.remove(worker)
        return dead

    def close(self) -> None:
        """Close the channels; wait for sessions that are being ended.

        Workers that still run stop then.
        """
        for worker in self.workers:
            worker.close()
        self.sessions.close()

    def deadlines(self) -> Iterator[float]:
        """Return the times at which to look even if nothing happens."""
        if len(self.active) < self._wanted:
            yield self.backoff.ready_at
        for worker in self.workers:
            if worker.kill_at is not None:
                yield worker.kill_at
            elif worker.channel_closed_at is not None:
                yield worker.channel_closed_at + CLOSED_CHANNEL_S
            if worker.end_at is not None:
                yield worker.end_at
            if worker.is_starting and worker.pid not in self._said_late:
                yield late_at(worker)


def late_at(worker: Worker) -> float:
    """Return when a worker that is still not registered is late."""
    return worker.started_at + worker.options.ready_timeout + LATE_S
