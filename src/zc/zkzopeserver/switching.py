"""Have threads take turns more often, for what cannot wait.

Python's threads take turns every 5 ms (`sys.setswitchinterval`).  What goes
through a few threads, or through a few calls of the system, waits that long
each time, and that for each thread that computes.

The interval holds for the whole process.  Threads that compute are a little
slower meanwhile, so blocks should be short.
"""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

#: The time between two turns meanwhile.
QUICK_SWITCH_S = 0.00025


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Let threads take turns every QUICK_SWITCH_S while the block runs.

    Blocks of several threads may overlap: then the first that has begun ends
    it for all.
    """
    usual_s = sys.getswitchinterval()
    if usual_s <= QUICK_SWITCH_S:
        # Another block runs, and puts it back.
        yield
        return
    sys.setswitchinterval(QUICK_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)
