"""Several processes from one ini: what the runner calls in the parent.

The parent has no listening socket, no ZooKeeper session and no application.
It executes the program that it is itself once for each worker, so that each
reads the ini and loads the application afresh; see
`zc.zkzopeserver.workers.protocol` for how they talk, and
`zc.zkzopeserver.workers.supervisor` for what it does.
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options


def run_parent(options: Options, command: Sequence[str] | None = None) -> int:
    """Run the workers until SIGTERM or SIGINT; the exit status.

    `command` is what a worker executes; without it, what this process was
    started with.  0: stopped as asked; 1: stopped at once, at a second
    signal; 2, 3 or 4: that of a worker at the first start; 5: workers died
    again and again before they were registered.  What went wrong is in the
    log.
    """
    # A server of one process needs none of these.
    import selectors

    from zc.zkzopeserver import logconfig
    from zc.zkzopeserver.signals import SignalReceiver
    from zc.zkzopeserver.workers import title
    from zc.zkzopeserver.workers.protocol import Limits
    from zc.zkzopeserver.workers.supervisor import SIGNALS
    from zc.zkzopeserver.workers.supervisor import Parent

    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            f"option 'workers': {options.workers} processes can only be run"
            ' from the main thread of a program of their own')
    logconfig.configure(options.loggers)
    title.set_title('parent')
    with selectors.DefaultSelector() as selector, SignalReceiver(
            SIGNALS) as receiver:
        return Parent(Limits.of(options), command or own_command(), selector,
                      receiver).run()


def own_command() -> list[str]:
    """What this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
