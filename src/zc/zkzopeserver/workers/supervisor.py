"""The parent of the workers: keeps their number, rolls and stops them.

One thread waits for signals, channels and deadlines, and then looks at how
things are: what is to be done follows from that alone.
"""
from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import systemd
from zc.zkzopeserver.signals import SignalReceiver
from zc.zkzopeserver.signals import StopRequests
from zc.zkzopeserver.workers.pool import Crew
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.process import describe
from zc.zkzopeserver.workers.protocol import Limits
from zc.zkzopeserver.workers.rolling import Roll
from zc.zkzopeserver.workers.watchdog import Watchdog

# The operators' name for all of this.
logger = logging.getLogger('zc.zkzopeserver.workers')

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN,
           signal.SIGTTOU, signal.SIGUSR2, signal.SIGCHLD)

# Exit statuses of a worker that say what a user has to mend: at the first
# start it is no use to try again.
HOPELESS = 2, 3, 4

# So many deaths in a row before registration end the parent, with a status.
DEATHS = 5
GAVE_UP = 5

# Seconds from a signal that insists to SIGKILL.
HURRY_S = 1


class Parent:
    """Runs a crew until it is asked to stop."""

    def __init__(self, limits: Limits, command: Sequence[str],
                 selector: selectors.BaseSelector,
                 receiver: SignalReceiver) -> None:
        self._selector = selector
        self._receiver = receiver
        selector.register(receiver, selectors.EVENT_READ)
        self._watchdog = Watchdog(systemd.watchdog_interval_s())
        self._crew = Crew(limits, command, selector,
                          self._watchdog.beat_interval_s)
        self._had_terminal = os.isatty(0)
        self._roll: Roll | None = None
        self._is_roll_wanted = False
        self._was_registered = False
        self._is_ready = False
        self._is_stopping = False
        self._stop_requests = StopRequests()
        self._looked_at = 0.0
        self._status = 0
        self._said = ''

    def run(self) -> int:
        """Until all workers have ended; the exit status."""
        logger.info('starting %d workers', self._crew.target)
        try:
            self._look()
            while self._crew.members or not self._is_stopping:
                self._wait()
                self._look()
        finally:
            for worker in self._crew.members:
                # Something is wrong with us; they stop by themselves.
                worker.close()
        logger.info('all workers have stopped')
        return self._status

    def _wait(self) -> None:
        """Until a signal, a message or a deadline; takes the first two in."""
        timeout = None
        for deadline in self._deadlines():
            # What was due at the last look was done, as far as it can be.
            if deadline > self._looked_at:
                left = max(deadline - time.monotonic(), 0)
                timeout = left if timeout is None else min(timeout, left)
        ready = self._selector.select(timeout)
        now = time.monotonic()
        for key, _ in ready:
            if key.data is not None:
                self._crew.hear(key.data, now)
        for number in self._receiver.read():
            self._heed(number, now)

    def _deadlines(self) -> Iterator[float]:
        yield from self._watchdog.deadlines()
        yield from self._crew.deadlines()
        if self._roll is not None:
            yield from self._roll.deadlines()

    # Signals.

    def _heed(self, number: int, now: float) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._asked_to_stop(signal.Signals(number).name, now)
        elif number == signal.SIGUSR2:
            self._reopen()
        elif self._is_stopping:
            pass
        elif number == signal.SIGHUP:
            if self._had_terminal and not os.isatty(0):
                self._asked_to_stop('SIGHUP, as the terminal is gone', now)
            else:
                self._is_roll_wanted = True
        elif number == signal.SIGTTIN:
            self._crew.want(self._crew.target + 1)
        elif number == signal.SIGTTOU:
            self._crew.want(self._crew.target - 1)

    def _reopen(self) -> None:
        logconfig.reopen()
        logger.info('log files opened anew')
        for worker in self._crew.members:
            worker.tell('reopen')

    def _asked_to_stop(self, why: str, now: float) -> None:
        is_repeated = self._stop_requests.is_repeated()
        if not self._is_stopping:
            logger.info('%s: stopping %d workers', why,
                        len(self._crew.members))
            self._stop(0, now)
        elif is_repeated:
            logger.warning('%s again: stopping at once', why)
            self._status = 1
            for worker in self._crew.members:
                worker.tell('hurry')
                worker.leave(now + HURRY_S)

    def _stop(self, status: int, now: float) -> None:
        self._is_stopping = True
        self._status = status
        self._roll = None
        systemd.notify('STOPPING=1')
        for worker in self._crew.staying:
            self._crew.stop(worker, now)

    # How things are.

    def _look(self) -> None:
        """Do what is to be done now."""
        now = self._looked_at = time.monotonic()
        for worker, status in self._crew.bury(now):
            self._died(worker, status, now)
        self._crew.enforce(now)
        if not self._is_stopping:
            self._keep(now)
        self._watchdog.look(self._crew, now)
        self._tell_systemd()

    def _keep(self, now: float) -> None:
        self._was_registered |= bool(self._crew.registered)
        self._crew.complain(now)
        if self._is_roll_wanted and self._roll is None:
            self._begin_roll(now)
        if self._roll is not None:
            self._roll.step(now)
        if self._roll is not None and self._roll.is_over:
            self._roll = None
            self._announce('READY=1')
            # Perhaps one was asked for meanwhile.
            return self._keep(now)
        if self._roll is None:
            self._crew.keep_number(now)
        while self._crew.unborn:
            wait = self._crew.backoff.died(now, None)
            self._after_death(self._crew.unborn.pop(), None, wait, now)

    def _begin_roll(self, now: float) -> None:
        self._is_roll_wanted = False
        self._crew.backoff.forget()
        if self._crew.staying:
            self._announce('RELOADING=1\nMONOTONIC_USEC='
                           f'{time.monotonic_ns() // 1000}')
            self._roll = Roll(self._crew, now)
        else:
            logger.info('no worker runs: starting them now')

    # Deaths.

    def _died(self, worker: Worker, status: int, now: float) -> None:
        how = describe(status)
        since = worker.registered_at
        if worker.is_leaving or self._is_stopping:
            if status and since is not None:
                logger.warning('%s %s while it stopped', worker, how)
            else:
                logger.info('%s has stopped', worker)
        if worker.was_told or self._is_stopping:
            return
        wait = self._crew.backoff.died(
            now, None if since is None else now - since)
        if not worker.is_leaving and not (
                self._roll and self._roll.died(worker, how)):
            when = '' if since is not None else ' before it was registered'
            self._after_death(f'{worker} {how}{when}', status, wait, now)

    def _after_death(self, what: str, status: int | None, wait: float,
                     now: float) -> None:
        early = self._crew.backoff.early
        if not self._was_registered and status in HOPELESS:
            logger.error('%s; stopping', what)
            self._stop(status, now)
        elif early >= DEATHS and not self._crew.registered:
            logger.error('%s, and so did the %d before it; giving up', what,
                         early - 1)
            self._stop(GAVE_UP, now)
        else:
            logger.error('%s; starting another %s', what,
                         f'in {wait:.1f} s' if wait else 'at once')

    # systemd.

    def _announce(self, state: str) -> None:
        """Tell systemd, once it was told that we are ready."""
        if self._is_ready:
            systemd.notify(state)

    def _tell_systemd(self) -> None:
        registered, target = len(self._crew.registered), self._crew.target
        started = sum(worker.is_started for worker in self._crew.members)
        if (started >= target and not self._is_ready
                and not self._is_stopping):
            self._is_ready = True
            logger.info('all %d workers %s', target,
                        'are registered' if registered >= target else
                        f'serve, {registered} of them are registered')
            systemd.notify('READY=1')
        state = (f'STATUS={registered} of {target} workers registered'
                 + (', rolling restart' if self._roll else ''))
        if state != self._said:
            self._said = state
            systemd.notify(state)
