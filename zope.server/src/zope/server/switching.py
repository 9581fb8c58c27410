"""How often Python's threads take turns.

A thread that wants to run waits for the lock of the interpreter (GIL).  The
thread that has it gives it away after an interval (`sys.setswitchinterval`)
or when it calls the system.  So each event waits an interval for each thread
that computes, and each call of the system does again.

The interval holds for the whole process.  Threads that compute are a little
slower with a shorter one.

Blocks of several threads may overlap.  While some run, the shortest of their
intervals holds; the last that ends puts back what was there before the first.
One that the application sets meanwhile stays, whatever blocks run.
"""
from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

#: The interval that CPython begins with: an application has not set another.
PYTHON_S = 0.005
#: The interval during what cannot wait.
QUICK_SWITCH_S = 0.0001
# CPython keeps whole microseconds.
SAME_S = 0.000_001


class Blocks:
    """The blocks of a process that run, and the interval of each."""

    def __init__(self) -> None:
        # Re-entrant, as a signal handler may run a block.
        self._lock = threading.RLock()
        self._running: dict[object, float] = {}
        # The interval without blocks, and the one that the blocks have set.
        self._usual_s = self._set_s = PYTHON_S

    def forked(self) -> None:
        """Let go of the threads that this process, a child, has no copy of."""
        self._lock = threading.RLock()

    def usual_s(self) -> float:
        """Return the interval that holds, or would without these blocks."""
        with self._lock:
            now_s = sys.getswitchinterval()
            if self._running and abs(now_s - self._set_s) >= SAME_S:
                # The application has set another one meanwhile.
                self._running.clear()
            if not self._running:
                self._usual_s = now_s
            return self._usual_s

    def begin(self, block: object, interval_s: float) -> None:
        """Note a block, and set the interval."""
        with self._lock:
            self.usual_s()
            self._running[block] = interval_s
            self._set()

    def end(self, block: object) -> None:
        """Forget a block, and set the interval of the others, if any."""
        with self._lock:
            self.usual_s()
            if self._running.pop(block, None) is not None:
                self._set()

    def _set(self) -> None:
        self._set_s = min(self._running.values(), default=self._usual_s)
        # CPython cuts off what is no whole microsecond.
        sys.setswitchinterval(self._set_s + SAME_S / 2)


_blocks = Blocks()
os.register_at_fork(after_in_child=_blocks.forked)


@contextlib.contextmanager
def switch_interval(interval_s: float) -> Iterator[None]:
    """Let threads take turns at an interval while the block runs.

    Do nothing for 0, or where the interval is not Python's own: then the
    application has chosen it.
    """
    if interval_s and abs(_blocks.usual_s() - PYTHON_S) < SAME_S:
        with _changed(interval_s):
            yield
    else:
        yield


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Let threads take turns every QUICK_SWITCH_S while the block runs.

    For what goes through a few threads, or through a few calls of the system:
    a block should be short.  An interval that is shorter already stays.
    """
    with _changed(min(QUICK_SWITCH_S, _blocks.usual_s())):
        yield


@contextlib.contextmanager
def _changed(interval_s: float) -> Iterator[None]:
    block = object()
    _blocks.begin(block, interval_s)
    try:
        yield
    finally:
        _blocks.end(block)
