"""A progress bar for what takes long, where somebody looks.

Needs tqdm; without it nothing is shown.
"""
import contextlib
import sys
from collections.abc import Callable
from collections.abc import Iterator

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

#: How long it takes until a bar appears.
PATIENCE = 1.0


@contextlib.contextmanager
def progress(what: str, total: int | None = None
             ) -> Iterator[Callable[[int], None] | None]:
    """A function to be called with what is done so far, or None.

    The bar appears on a terminal after a second, and goes at the end.
    """
    if tqdm is None or not sys.stderr.isatty():
        yield None
        return
    with tqdm(desc=what, total=total, unit='', unit_scale=True, leave=False,
              delay=PATIENCE, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.n)
