"""``logreopen``: open log files anew, after a rotation."""
from __future__ import annotations

import signal
from typing import Any

from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import zdaemon as daemon
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Place
from zc.zkzopeserver.cli.verbs import stop as stopping

DESCRIPTION = """\
Open the log files anew, after log rotation has renamed them: those of the
server and of its workers (SIGUSR2), and the transcript.  Nothing is done, and
that is fine, when the server does not run."""

STATUSES = """\
exit status: 0 done, or it does not run; 1 an error; 2 a file is wrong."""


def run(place: Place, arguments: Any = None) -> int:
    """Tell the server, and its manager."""
    processes.become(place.user)
    done = []
    if daemon.ask(place.socket, 'reopen_transcript') is not None:
        done.append('zdaemon')
    # Not the process that zdaemon knows of: until there is a pid file, the
    # signal would end it.
    found = pidfile.read(place.pid_file)
    if (found and found.is_alive and Ini(place.ini, {}).is_ours
            and stopping.send(found.pid, signal.SIGUSR2)):
        done.append(f'pid {found.pid}')
    print(f'{place.name}: ' + (f'told {" and ".join(done)}' if done
                               else 'not running'))
    return 0
