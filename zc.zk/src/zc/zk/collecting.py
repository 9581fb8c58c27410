"""The garbage collector, not at work while many objects are made.

It would look at all nodes of a large tree again and again, for a quarter of
the time, and find nothing. Afterwards they are old at once, or it would look
at them right then.
"""
import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Python 3.12 itself freezes some hundred objects; programs that do, before
#: they fork, freeze all that they have.
FEW = 2000


@contextmanager
def paused() -> Iterator[None]:
    """Pause it; for pure computing only, never while something is awaited.

    Also a decorator: ``@paused()``.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if gc.get_freeze_count() < FEW:
                # Nobody else has: there and back, all are in the oldest
                # generation.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
