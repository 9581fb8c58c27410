"""``fg``: serve in the foreground, until SIGTERM or SIGINT.

systemd, supervisor and containers run this verb, and `start` runs it in the
background.  It imports nothing of the other verbs.
"""
from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import rotation
from zc.zkzopeserver import sessionfile
from zc.zkzopeserver import signals
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.workers import protocol

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Serve the application, registered in ZooKeeper, in the foreground, until
SIGTERM or SIGINT.  The server then finishes the requests in flight; a second
signal, half a second or more after the first, ends them at once.  SIGUSR2
opens the log files anew.  With several workers SIGHUP replaces them one by
one.  With --reload it serves anew when a file has changed."""

STATUSES = """\
exit status: 0 stopped as asked; 1 an error, or ended by a second signal; 2 an
option, an address or a file is wrong; 3 ZooKeeper cannot be reached, or the
path is not there; 4 the application is not ready in time; 5 workers died
again and again before they were registered."""


def run(instance: Instance, arguments: Any = None) -> int:
    """Serve the application of the ini; return the exit status."""
    if arguments is not None and arguments.reload:
        # Imported here: for developers alone.
        from zc.zkzopeserver.cli import reloading
        with pidfile.held(instance.pid_file, instance.ini):
            reloading.run(instance)
    with contextlib.ExitStack() as stack:
        rotation.answer_beside(instance.pid_file)
        stack.enter_context(signals.serving_operators())
        session_file = None
        # A worker's pid file is its parent's.
        if has_parent(instance) or stack.enter_context(
                pidfile.held(instance.pid_file, instance.ini)):
            session_file = stack.enter_context(sessionfile.serving(
                instance.session_file))
        ini = Ini(instance)
        if instance.is_reloaded:
            from zc.zkzopeserver.cli import reloading
            reloading.watch(ini)
        if 'loggers' not in ini.options:
            if ini.has_logging:
                logconfig.configure_ini(ini.path, ini.variables)
            else:
                logconfig.configure_default()
        ini.serve(session_file)
    return 0


def has_parent(instance: Instance) -> bool:
    """Return whether another process holds the pid file for this one."""
    return protocol.VARIABLE in os.environ or instance.is_reloaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--reload``."""
    parser.add_argument(
        '--reload', action='store_true',
        help='for developers: serve anew, with one process, when a module,'
             ' the ini or a file of the option reload_files changes (needs'
             ' zc.zkzopeserver[reload])')


FG = Verb(run, DESCRIPTION, STATUSES, add_arguments, starts=True)
