"""How often Python's threads take turns.

A thread that wants to run waits for the lock of the interpreter (GIL).  The
thread that has it gives it away after an interval (`sys.setswitchinterval`)
or when it calls the system.  So each event waits an interval for each thread
that computes, and each call of the system does again.

The interval holds for the whole process.  Threads that compute are a little
slower with a shorter one.
"""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

#: The interval that CPython begins with: an application has not set another.
PYTHON_S = 0.005
#: The interval during what cannot wait.
QUICK_SWITCH_S = 0.0001
# CPython keeps whole microseconds.
SAME_S = 0.000_001


def is_interval(interval_s: float) -> bool:
    """Return whether threads take turns at this interval."""
    return abs(sys.getswitchinterval() - interval_s) < SAME_S


@contextlib.contextmanager
def switch_interval(interval_s: float) -> Iterator[None]:
    """Let threads take turns at an interval while the block runs.

    Do nothing for 0, or where the interval is no longer Python's own: then
    the application has chosen it, or another block runs.  Blocks of several
    threads may overlap: the end of the first ends it for all.
    """
    if interval_s and is_interval(PYTHON_S):
        with changed(interval_s):
            yield
    else:
        yield


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Let threads take turns every QUICK_SWITCH_S while the block runs.

    For what goes through a few threads, or through a few calls of the system:
    a block should be short.  Blocks of several threads may overlap, as those
    of `switch_interval`.
    """
    if sys.getswitchinterval() < QUICK_SWITCH_S + SAME_S:
        # Another block runs, and puts it back.
        yield
    else:
        with changed(QUICK_SWITCH_S):
            yield


@contextlib.contextmanager
def changed(interval_s: float) -> Iterator[None]:
    """Set the interval while the block runs.

    One that is set meanwhile, by the application, stays.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(interval_s)
    try:
        yield
    finally:
        if is_interval(interval_s):
            sys.setswitchinterval(usual_s)
