"""``bin/NAME``: a server from an ini, and the verbs of its operators.

The server is reached only through the ini's entry point, so that this script
and any other paste launcher take the same way.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from zc.zkzopeserver.cli import main as command_line
from zc.zkzopeserver.cli.instance import Place
from zc.zkzopeserver.cli.instance import program

# What `start` runs this program with, for the sake of its sys.path: zdaemon's
# manager.  Not for people.
MANAGER = 'zdaemon'

INTERRUPTED = 130


def main(ini: str, name: str = '', argv: Sequence[str] | None = None,
         run: Mapping[str, Any] | None = None) -> int:
    """Do what the command line says with the server of `ini`; exit status.

    `run` says where the files of its process are; see
    `zc.zkzopeserver.cli.instance`.

    An exception with an `exit_status` is a user's to mend: it is printed a
    line a problem.  Any other is a defect and keeps its traceback.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == [MANAGER]:
        from zc.zkzopeserver.cli import zdaemon as daemon
        return daemon.manage(argv[1:])
    place = Place(ini, name, run=run, program=program(argv))
    verb, place.overrides, arguments = command_line.parse(place.name, argv)
    if arguments is not None:
        log_errors()
    try:
        return verb.run(place, arguments)
    except KeyboardInterrupt:
        print(f'{place.name}: interrupted', file=sys.stderr)
        return INTERRUPTED
    except Exception as reason:
        status = getattr(reason, 'exit_status', None)
        if status is None:
            raise
        for line in str(reason).splitlines():
            print(f'{place.name}: {line}', file=sys.stderr)
        return status


def log_errors() -> None:
    """Let a verb's own output be seen: only errors are logged to stderr.

    What goes wrong with ZooKeeper is told as an error of the verb's.
    """
    import logging
    logging.basicConfig(level=logging.ERROR,
                        format='%(levelname)s %(name)s %(message)s')
    logging.getLogger('kazoo').setLevel(logging.CRITICAL)
