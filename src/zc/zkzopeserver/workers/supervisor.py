"""The parent of the workers: keeps their number, rolls and stops them.

Level-triggered: one thread waits for signals, messages and deadlines.  After
each it compares the workers there are with the workers there should be, and
acts on the difference.
"""
from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zkzopeserver import rotation
from zc.zkzopeserver import systemd
from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.signals import SignalReceiver
from zc.zkzopeserver.signals import StopRequests
from zc.zkzopeserver.workers.pool import WorkerPool
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.process import describe
from zc.zkzopeserver.workers.protocol import WorkerOptions
from zc.zkzopeserver.workers.recycling import Recycling
from zc.zkzopeserver.workers.rolling import RollingRestart
from zc.zkzopeserver.workers.silence import BEAT_S
from zc.zkzopeserver.workers.silence import SilenceWatch
from zc.zkzopeserver.workers.substitutes import Substitutes
from zc.zkzopeserver.workers.watchdog import Watchdog

logger = logging.getLogger('zc.zkzopeserver.workers')

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN,
           signal.SIGTTOU, signal.SIGUSR2, signal.SIGCHLD)

# Exit statuses of a worker for what a user has to mend (see
# `zc.zkzopeserver.errors`): at the first start another try would fail, too.
FATAL_STATUSES = 2, 3, 4

# Deaths in a row before registration that end the parent, and its status.
MAX_EARLY_DEATHS = 5
EXIT_GAVE_UP = 5

# Seconds from a repeated stop signal to SIGKILL.
FORCE_EXIT_S = 1


class Supervisor:
    """Runs a pool of workers until it is asked to stop.

    `on_exit(pid, status)` is called for each worker that has ended, see
    `zc.zkzopeserver.workers.process.Worker.status`; it returns at once.
    `hold_s` is for `SessionFile.succeed`.
    """

    def __init__(self, options: WorkerOptions, command: Sequence[str],
                 selector: selectors.BaseSelector,
                 receiver: SignalReceiver,
                 session_file: SessionFile | None = None,
                 on_exit: Callable[[int, int], None] = lambda *_: None,
                 hold_s: float = 0.0) -> None:
        self._selector = selector
        self._receiver = receiver
        self._session_file = session_file
        self._on_exit = on_exit
        self._hold_s = hold_s
        selector.register(receiver, selectors.EVENT_READ)
        interval_s = systemd.watchdog_interval_s()
        self._pool = WorkerPool(
            options, command, selector,
            BEAT_S if interval_s is None else min(BEAT_S, interval_s / 2),
            session_file)
        self._silence = SilenceWatch(self._pool)
        self._watchdog = (None if interval_s is None
                          else Watchdog(self._pool, interval_s))
        self._had_terminal = os.isatty(0)
        self._recycling = Recycling(self._pool)
        self._substitutes = Substitutes(self._pool)
        self._roll: RollingRestart | None = None
        self._is_roll_wanted = False
        self._was_registered = False
        self._is_ready = False
        self._is_stopping = False
        self._stop_requests = StopRequests()
        self._reconciled_at = 0.0
        self._exit_status = 0
        self._systemd_state = ''

    def run(self) -> int:
        """Run until all workers have ended; return the exit status."""
        if adopted := self._adopt():
            logger.info('took over %d workers of a parent that is gone',
                        adopted)
        logger.info('starting %d workers', self._pool.target)
        try:
            self.reconcile()
            if self._session_file is not None:
                # Once the workers start: that comes first.
                self._session_file.succeed(self._hold_s)
            while self._pool.workers or not self._is_stopping:
                self._wait()
                self.reconcile()
        finally:
            # If this process fails, the workers stop by themselves.
            self._pool.close()
        logger.info('all workers have stopped')
        return self._exit_status

    def _adopt(self) -> int:
        return 0 if self._session_file is None else self._session_file.adopt()

    def _dismiss_adopted(self) -> None:
        """Have an adopted worker go for each of our own that is registered.

        All go when this process stops.
        """
        file = self._session_file
        if file is None or not (left := file.adopted):
            return
        registered = len(self._pool.registered)
        surplus = registered + left - self._pool.target if registered else 0
        if self._is_stopping:
            surplus = left
        if surplus > 0 and (gone := file.dismiss(surplus)):
            logger.info('told %d workers of the old parent to go, %d are left',
                        gone, left - gone)

    def _wait(self) -> None:
        """Wait for signals, messages or a deadline; act on the first two."""
        timeout = None
        for deadline in self._deadlines():
            # What was due at the last look was done, as far as it can be.
            if deadline > self._reconciled_at:
                left = max(deadline - time.monotonic(), 0)
                timeout = left if timeout is None else min(timeout, left)
        ready = self._selector.select(timeout)
        now = time.monotonic()
        for key, _ in ready:
            if key.data is not None:
                self._pool.receive(key.data, now)
        for number in self._receiver.read():
            self.handle_signal(number, now)

    def _deadlines(self) -> Iterator[float]:
        if self._watchdog is not None:
            yield from self._watchdog.deadlines()
        yield from self._silence.deadlines()
        yield from self._pool.deadlines()
        yield from self._recycling.deadlines()
        if self._roll is not None:
            yield from self._roll.deadlines()

    # Signals.

    def handle_signal(self, number: int, now: float) -> None:
        """Note what a signal asks for, and pass it on to the workers."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._request_stop(signal.Signals(number).name, now)
        elif number == signal.SIGUSR2:
            self._reopen_logs()
        elif self._is_stopping:
            pass
        elif number == signal.SIGHUP:
            if self._had_terminal and not os.isatty(0):
                self._request_stop('SIGHUP, as the terminal is gone', now)
            else:
                self._is_roll_wanted = True
        elif number == signal.SIGTTIN:
            self._pool.scale(self._pool.target + 1)
        elif number == signal.SIGTTOU:
            self._pool.scale(self._pool.target - 1)

    def _reopen_logs(self) -> None:
        rotation.reopen(())
        for worker in self._pool.workers:
            worker.tell('reopen')

    def _request_stop(self, why: str, now: float) -> None:
        is_repeated = self._stop_requests.is_repeated()
        if not self._is_stopping:
            logger.info('%s: stopping %d workers', why,
                        len(self._pool.workers))
            self._stop(0, now)
        elif is_repeated:
            logger.warning('%s again: stopping at once', why)
            self._exit_status = 1
            for worker in self._pool.workers:
                worker.tell('hurry')
                worker.mark_stopping(now + FORCE_EXIT_S)

    def _stop(self, exit_status: int, now: float) -> None:
        self._is_stopping = True
        self._exit_status = exit_status
        self._roll = None
        systemd.notify('STOPPING=1')
        for worker in self._pool.active:
            self._pool.stop(worker, now)

    # The workers there are, and the workers there should be.

    def reconcile(self) -> None:
        """Compare the workers with the wanted state, and act on it."""
        now = self._reconciled_at = time.monotonic()
        for worker, status in self._pool.reap(now):
            self._note_death(worker, status, now)
        self._silence.look(now)
        self._pool.enforce_deadlines(now)
        if not self._is_stopping:
            self._keep_running(now)
        self._dismiss_adopted()
        if self._watchdog is not None:
            self._watchdog.look(now)
        self._tell_systemd()

    def _keep_running(self, now: float) -> None:
        if self._pool.registered:
            self._was_registered = True
            if self._session_file is not None:
                self._session_file.note_registered()
        self._pool.warn_late(now)
        if self._is_roll_wanted and self._roll is None:
            self._begin_roll(now)
        if self._roll is not None:
            self._roll.step(now)
        if self._roll is not None and self._roll.is_over:
            self._roll = None
            self._announce('READY=1')
            # Another one may have been asked for meanwhile.
            return self._keep_running(now)
        if self._roll is None:
            self._substitutes.step(now)
            self._recycling.step(now)
            self._pool.reconcile(now)
        while self._pool.spawn_errors:
            wait_s = self._pool.backoff.died(now, None)
            self._after_death(self._pool.spawn_errors.pop(), None, wait_s,
                              now)

    def _begin_roll(self, now: float) -> None:
        self._is_roll_wanted = False
        self._pool.backoff.reset()
        if self._pool.active:
            # MONOTONIC_USEC: sd_notify(3), RELOADING=1.
            self._announce('RELOADING=1\nMONOTONIC_USEC='
                           f'{time.monotonic_ns() // 1000}')
            self._recycling.pause()
            self._roll = RollingRestart(self._pool, now)
        else:
            logger.info('no worker runs: starting them now')

    # Deaths.

    def _note_death(self, worker: Worker, status: int, now: float) -> None:
        self._on_exit(worker.pid, status)
        how = describe(status)
        since = worker.registered_at
        if worker.is_stopping or self._is_stopping:
            if status and since is not None:
                logger.warning('%s %s while it stopped', worker, how)
            else:
                logger.info('%s has stopped', worker)
        if worker.stop_requested or self._is_stopping:
            return
        wait_s = self._pool.backoff.died(
            now, None if since is None else now - since)
        if not worker.is_stopping and not (
                self._roll and self._roll.died(worker, how)):
            when = '' if since is not None else ' before it was registered'
            if worker.substituted_at is not None:
                logger.error('%s %s; another one has its place', worker, how)
                return
            self._after_death(f'{worker} {how}{when}', status, wait_s, now)

    def _after_death(self, what: str, status: int | None, wait_s: float,
                     now: float) -> None:
        early = self._pool.backoff.early
        if not self._was_registered and status in FATAL_STATUSES:
            logger.error('%s; stopping', what)
            self._stop(status, now)
        elif early >= MAX_EARLY_DEATHS and not self._pool.registered:
            logger.error('%s, and so did the %d before it; giving up', what,
                         early - 1)
            self._stop(EXIT_GAVE_UP, now)
        else:
            logger.error('%s; starting another %s', what,
                         f'in {wait_s:.1f} s' if wait_s else 'at once')

    def _prepare_for_death(self) -> None:
        """Be able to end the session of a worker at once when it dies.

        That takes 3 MB of memory, and 25 ms of the processor, once the start
        is over.
        """
        for worker in self._pool.workers:
            if worker.session is not None:
                self._pool.sessions.prepare(worker.session)
                return

    # systemd.

    def _troubles(self) -> str:
        """Return how many workers are in which trouble, for the status."""
        troubles = [worker.trouble or 'silent'
                    for worker in self._pool.watched
                    if worker.trouble or worker.is_silent]
        return ''.join(f', {troubles.count(each)} {each}'
                       for each in dict.fromkeys(troubles))

    def _announce(self, state: str) -> None:
        """Tell systemd, once it was told that the service is ready."""
        if self._is_ready:
            systemd.notify(state)

    def _tell_systemd(self) -> None:
        registered, target = len(self._pool.registered), self._pool.target
        started = sum(worker.is_started for worker in self._pool.workers)
        if (started >= target and not self._is_ready
                and not self._is_stopping):
            self._is_ready = True
            logger.info('all %d workers %s', target,
                        'are registered' if registered >= target else
                        f'serve, {registered} of them are registered')
            systemd.notify('READY=1')
            self._prepare_for_death()
        state = (f'STATUS={registered} of {target} workers registered'
                 + self._troubles()
                 + (', rolling restart' if self._roll else ''))
        if state != self._systemd_state:
            self._systemd_state = state
            systemd.notify(state)
