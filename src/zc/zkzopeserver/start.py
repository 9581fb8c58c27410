"""The entry point of start scripts, ``bin/NAME``.

Scripts that buildout has generated call `main` as
``zc.zkzopeserver.start.main(INI, NAME)``, some with ``run={...}``.  The name
and the parameters stay as they are, as such scripts outlive an upgrade.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.instance import program
from zc.zkzopeserver.cli.main import execute


def main(ini: str, name: str = '', argv: Sequence[str] | None = None,
         run: Mapping[str, Any] | None = None) -> int:
    """Execute a command line for the server of an ini; return the status.

    `ini` is the path of the ini.  `name` begins the messages and names the
    files of the process; '' takes the ini's own name.  `argv` are the words
    of the command line; None takes those of this process.

    `run` says where the files of the process are, and more:

    - ``pid``, ``socket``, ``transcript``: paths of the pid file, of
      zdaemon's socket, and of what the server writes in the background.
      What is not given stands beside the ini, as ``NAME.pid``,
      ``NAME.sock`` and ``NAME.log``;
    - ``user``: the user that the server runs as when root starts it;
    - ``start_timeout``: how long `start` waits, in seconds.

    Errors for the user to mend are printed, a line a problem.
    """
    argv = sys.argv[1:] if argv is None else argv
    return execute(Instance(ini, name, run=run, program=program(argv)), argv)


if __name__ == '__main__':
    # ``python -m zc.zkzopeserver.start INI``: there is no script here.
    from zc.zkzopeserver.__main__ import main as main_of_command
    sys.exit(main_of_command())
