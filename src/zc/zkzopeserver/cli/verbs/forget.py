"""``forget``: end the ZooKeeper sessions of processes that have died."""
from __future__ import annotations

import sys
from typing import Any

from zc.zkzopeserver import sessionfile
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import Verb

DESCRIPTION = """\
End the ZooKeeper sessions that processes of the server have left which were
killed or have crashed, so that their nodes go at once, and not when the
sessions time out.  A process that lives keeps its session: it has a lock on
its entry in the session file.  The ini is not read.

`status`, `stop`, `restart` and the next start do the same.  systemd runs this
verb when the service has ended (ExecStopPost)."""

STATUSES = """\
exit status: 0 done, or there was nothing to do; 1 the session file cannot be
used; 3 ZooKeeper does not answer."""


def run(instance: Instance, arguments: Any = None) -> int:
    """End what is left; return the exit status."""
    done = sessionfile.forget(instance.session_file)
    for key in done.ended:
        print(f'{instance.name}: {key}, which has died, has ended')
    for problem in done.problems:
        print(f'{instance.name}: {problem}', file=sys.stderr)
    if not done.ended and not done.problems:
        print(f'{instance.name}: nothing to forget')
    if done.failed:
        return 3
    return 1 if done.problems else 0


FORGET = Verb(run, DESCRIPTION, STATUSES)
