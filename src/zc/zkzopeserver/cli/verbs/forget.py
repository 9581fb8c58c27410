"""``forget``: end the ZooKeeper sessions of processes that have died."""
from __future__ import annotations

import argparse
import sys

from zc.zkzopeserver import sessionfile
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import Verb

DESCRIPTION = """\
End the ZooKeeper sessions that processes of the server have left which were
killed or have crashed, so that their nodes go at once, and not when the
sessions time out.  A process that lives keeps its session: it has a lock on
its entry in the session file.  The ini is not read.

`status`, `stop`, `restart` and the next start do the same.  systemd runs this
verb when the service has ended (ExecStopPost).

With FILEs it does that for other servers of the same user, whose scripts may
be gone."""

STATUSES = """\
exit status: 0 done, or there was nothing to do; 1 the session file cannot be
used; 3 ZooKeeper does not answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `forget`."""
    parser.add_argument(
        'files', metavar='FILE', nargs='*',
        help='a session file, NAME.session beside the pid file of a server'
        ' (that of this server)')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """End what is left; return the exit status."""
    return max(forget(instance.name, path)
               for path in arguments.files or [instance.session_file])


def forget(name: str, path: str) -> int:
    """End what is left by a session file; return the exit status.

    `name` begins each line that is printed.
    """
    done = sessionfile.forget(path)
    for key in done.ended:
        print(f'{name}: {key}, which has died, has ended')
    for problem in done.problems:
        print(f'{name}: {problem}', file=sys.stderr)
    if not done.ended and not done.problems:
        print(f'{name}: nothing to forget')
    if done.failed:
        return 3
    return 1 if done.problems else 0


FORGET = Verb(run, DESCRIPTION, STATUSES, add_arguments)
