"""``fg``: serve here and now, until SIGTERM or SIGINT.

What systemd, supervisor and containers want, and what `start` runs in the
background.  Nothing of the other verbs is imported.
"""
from __future__ import annotations

import contextlib
import os
from typing import Any

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import signals
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.workers import protocol

DESCRIPTION = """\
Serve the application, registered in ZooKeeper, in the foreground, until
SIGTERM or SIGINT; a second one, half a second or more after the first, does
not wait for requests in flight.  SIGUSR2 opens log files anew; with several
workers SIGHUP replaces them one by one."""

STATUSES = """\
exit status: 0 stopped as asked; 1 an error, or stopped at once at a second
signal; 2 an option, an address or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there; 4 not ready in time; 5 workers died again
and again before they were registered."""


def run(instance: Instance, arguments: Any = None) -> int:
    """Run the application and the server of the ini; the exit status."""
    if instance.user:
        # Not for every server: it imports psutil.
        from zc.zkzopeserver.cli import processes
        processes.become(instance.user, (os.path.dirname(instance.pid_file),),
                         required=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.serving_operators())
        if protocol.VARIABLE not in os.environ:
            # The file is the parent's, when there is one.
            stack.enter_context(pidfile.held(instance.pid_file, instance.ini))
        serve(Ini(instance.ini, instance.overrides))
    return 0


def serve(ini: Ini) -> None:
    """Serve until it is over."""
    application = None
    if 'loggers' not in ini.options:
        logconfig.configure_default()
    # The runner parses the options again, as any paste launcher hands it
    # strings.  They are parsed before the application is loaded, so that
    # wrong ones are told at once, and a parent of workers loads none.
    if not ini.is_ours or not protocol.is_parent(
            option_table.parse(ini.options, ini.where).workers):
        application = ini.application()
    ini.server()(application)


FG = Verb(run, DESCRIPTION, STATUSES)
