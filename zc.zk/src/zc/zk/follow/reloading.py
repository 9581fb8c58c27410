"""Write the file, check it, reload the proxy, and see whether it did.

What a failed check means is found out: with the old file put back, the check
passes if ours was wrong, and fails if somebody else's part of the
configuration is. In the second case the new file is put again, so that the
list is current on the day that part is mended; the check is repeated, and the
proxy is reloaded when it passes.
"""
from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from zc.zk.follow.commands import Command
from zc.zk.follow.outputfile import OutputFile
from zc.zk.follow.report import Report

logger = logging.getLogger('zc.zk.follow')

#: The time that a proxy has to show new workers after a reload.
VERIFY_TIMEOUT_S = 10.0

#: The reloads that may follow each other at once. A server is often started
#: and another one stopped right after it, which has to arrive within the
#: second one's deregister_wait.
BURST = 2

#: The least `interval` for servers that flap.
FLAP_INTERVAL_S = 1.0

#: The time between two looks at them.
VERIFY_INTERVAL_S = 0.02


class Workers(Protocol):
    """Finds the processes by which a reload is seen."""

    def find(self) -> frozenset[tuple[int, float]]:
        """Return (process id, start time) of each; maybe of none."""


class Reloader:
    """Bring a text into a file, and the proxy to read it.

    There are at most `BURST` reloads within `BURST` times `interval` seconds;
    `splay` is the longest random time before one. `workers` finds the proxy's
    processes, of which new ones have to appear; None for a command whose
    effect cannot be seen.

    `counts` has the numbers of reloads that were `ok` and `failed`, and of
    failed checks.
    """

    def __init__(self, file: OutputFile, check: Command, reload: Command,
                 interval: float, splay: float = 0.0,
                 workers: Workers | None = None) -> None:
        self._file = file
        self._check = check
        self._reload = reload
        self._interval = interval
        self._splay = splay
        self._workers = workers
        self._report = Report(logger.error)
        self._times: deque[float] = deque(maxlen=BURST)
        # The text that was found to be wrong, and is not tried again.
        self._refused: str | None = None
        # The text that the proxy has loaded last, as far as is known.
        self._loaded: str | None = None
        # The file was changed, or may have been, since the last reload.
        self.is_due = True
        #: Only servers that flap have changed.
        self.has_time = False
        self.counts = {'ok': 0, 'failed': 0, 'checks': 0}

    def wake_at(self) -> float | None:
        """Return when `bring` has something to do; None for never."""
        return self._next() if self.is_due else None

    def _next(self) -> float:
        """Return the time from which a reload may be."""
        if len(self._times) < BURST:
            return float('-inf')
        interval = (max(self._interval, FLAP_INTERVAL_S) if self.has_time
                    else self._interval)
        return self._times[0] + BURST * interval

    def bring(self, text: str) -> bool:
        """Do what can be done now; return whether the text is in effect."""
        now = time.monotonic()
        if text == self._refused:
            return False
        old = self._file.read()
        if text == old and text == self._loaded:
            # Also after a change that went before it was loaded.
            self.is_due = False
        if text == old and not self.is_due:
            return True
        self.is_due = True
        if now < self._next():
            return False
        if self._splay and self._times:
            time.sleep(random.uniform(0, self._splay))
        self._times.append(now)
        return self._put(text, old)

    def _put(self, text: str, old: str | None) -> bool:
        try:
            with self._file.keeping() as put_back:
                if text != old:
                    self._file.write(text)
                checked = self._check.run()
                if not checked.ok:
                    self.counts['checks'] += 1
                    return self._find_fault(text, old, put_back, checked.text)
        except OSError as error:
            self._report.say(f'{self._file.path}: {error.strerror}; the '
                               'file stays as it was')
            return False
        self._refused = None
        if not self._do_reload():
            return False
        self._loaded = text
        return True

    def _find_fault(self, text: str, old: str | None,
                    put_back: Callable[[], None], why: str) -> bool:
        """Find out whether the old file passes the check, which ours fails.

        Returns False: the text is not in effect.
        """
        if old != text:
            put_back()
            if self._check.run().ok:
                self._refused = text
                self.is_due = False
                self._report.say(
                    f'{self._file.path}: our list is refused, and the old '
                    f'one stays: {why}')
                return False
            self._file.write(text)
        self._report.say(
            f'{self._file.path}: the configuration is refused, with our old '
            f'file as well; not reloaded: {why}')
        return False

    def _do_reload(self) -> bool:
        before = self._workers.find() if self._workers else None
        began = time.monotonic()
        done = self._reload.run()
        if not done.ok:
            self.counts['failed'] += 1
            self._report.say(f'{self._file.path}: not reloaded: {done.text}')
            return False
        if before and not self._has_new_workers(before):
            self.counts['failed'] += 1
            self._report.say(
                f'{self._file.path}: {self._reload} made no new worker '
                f'processes within {VERIFY_TIMEOUT_S:g} s')
            return False
        self.is_due = False
        self.counts['ok'] += 1
        self._report.over(f'{self._file.path}: all is well again', logger.info)
        logger.debug('%s: reloaded in %.0f ms', self._file.path,
                     1000 * (time.monotonic() - began))
        return True

    def _has_new_workers(self, before: frozenset[tuple[int, float]]) -> bool:
        assert self._workers is not None
        deadline = time.monotonic() + VERIFY_TIMEOUT_S
        while not self._workers.find() - before:
            if time.monotonic() >= deadline:
                return False
            time.sleep(VERIFY_INTERVAL_S)
        return True
