"""Several processes from one ini: what the runner calls in the parent.

The parent has no listening socket, no ZooKeeper session and no application.
For each worker it executes the program that it is itself, so that each worker
reads the ini and loads the application afresh.  They talk as
`zc.zkzopeserver.workers.protocol` says; what the parent does is in
`zc.zkzopeserver.workers.supervisor`.
"""
from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Sequence

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.sessionfile import SessionFile


def run_parent(options: Options, command: Sequence[str] | None = None,
               session_file: SessionFile | None = None) -> int:
    """Run the workers until SIGTERM or SIGINT; return the exit status.

    `command` is what a worker executes; without it, what this process was
    started with.  `session_file` is the server's; its workers open it, too.

    The exit status is 0 after a stop that was asked for, 1 after a repeated
    stop signal, 2, 3 or 4 of a worker at the first start, and 5 after workers
    died again and again before they were registered.  The log says what went
    wrong.
    """
    # Imported here: a server of one process needs none of these.
    import selectors

    from zc.zkzopeserver import logconfig
    from zc.zkzopeserver.hooks import ExitHook
    from zc.zkzopeserver.signals import SignalReceiver
    from zc.zkzopeserver.workers import protocol
    from zc.zkzopeserver.workers.supervisor import SIGNALS
    from zc.zkzopeserver.workers.supervisor import Supervisor

    require_main_thread()
    logconfig.configure(options.loggers)
    protocol.set_title('parent')
    with contextlib.closing(ExitHook(options.worker_exit)) as exit_hook, \
            selectors.DefaultSelector() as selector, \
            SignalReceiver(SIGNALS) as receiver:
        return Supervisor(protocol.WorkerOptions.of(options),
                          command or own_command(), selector, receiver,
                          session_file, exit_hook.exited,
                          options.session_timeout_s).run()


def require_main_thread() -> None:
    """Raise ConfigurationError in any other than the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            "option 'workers': several processes can only be run from the"
            ' main thread of a program of their own')


def own_command() -> list[str]:
    """Return the command that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
