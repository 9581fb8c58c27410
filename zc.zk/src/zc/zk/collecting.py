"""The garbage collector, not at work while many objects are made.

It would look at all nodes of a large tree again and again, for a quarter of
the time, and find nothing.
"""
import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
            gc.enable()
