"""The garbage collector, not at work while many objects are made.

It would look at the nodes of a large tree again and again while this grows,
and find nothing. It looks at them once, afterwards. Its counts and its
generations are left alone, so that the program's own garbage is found as if
nothing had been paused: with ``gc.freeze`` and ``gc.unfreeze`` all garbage
would become old as well, and with the counts at zero nobody look for it.
"""
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Pause it; for pure computing only, never while something is awaited.

    Also a decorator: ``@paused()``. Who finds it paused leaves it so, and
    does not go on for longer than who paused it: several threads, each with
    a pause of its own, never leave it off.
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
