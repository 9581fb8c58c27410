"""Pause the garbage collector while many objects are made.

While a large tree grows, the collector would look at its nodes again and
again, and find nothing. With a pause it looks at them once, afterwards.

Only ``gc.disable`` and ``gc.enable`` are used, so that the rest of the
program is collected as if there had been no pause. The collector's counts and
generations stay as they are: ``gc.freeze`` with ``gc.unfreeze`` would move all
garbage to the oldest generation, and counts set to zero would put off the
next collection (Python's gc documentation).
"""
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Pause the collector for a block, or as ``@paused()`` for a function.

    Use it for computing only, never around anything that waits: the whole
    process goes without the collector meanwhile.

    A block that finds the collector disabled leaves it so at its end. The
    block that has disabled it enables it, even if another thread's block is
    still running. So threads with overlapping blocks cannot leave the
    collector disabled between them.
    """
    is_ours = False
    try:
        if gc.isenabled():
            is_ours = True
            gc.disable()
        yield
    finally:
        if is_ours:
            gc.enable()
