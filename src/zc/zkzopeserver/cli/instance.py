"""An instance: a server of this machine, with the files of its process."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

# A file that a start script may place -> its suffix beside the ini.
FILES = {'pid': 'pid', 'socket': 'sock', 'transcript': 'log'}
KNOWN = (*FILES, 'user', 'start_timeout')

# The first word of the command line that makes this program zdaemon's
# manager (`zc.zkzopeserver.cli.zdaemon.start`).  No verb for people.
MANAGER_WORD = 'zdaemon'


class Instance:
    """A server of this machine: its ini, its name, the files of its process.

    `ini`, `name` and `run` are those of `zc.zkzopeserver.start.main`;
    TypeError for an unknown key of `run`.  `overrides` are the options of
    the command line.  `program` is the command that runs this program,
    without arguments.  `server` names the server's section in the ini, and
    `variables` are for the interpolation of the ini.  `environment` are the
    options in the environment of the server that runs; None stands for those
    in the environment of this process.

    `user` is '' and `start_timeout` (seconds) None when `run` has none.
    """

    def __init__(self, ini: str, name: str = '',
                 overrides: Mapping[str, str] | None = None,
                 run: Mapping[str, Any] | None = None,
                 program: Sequence[str] = (), server: str = 'main',
                 variables: Mapping[str, str] | None = None) -> None:
        run = run or {}
        if unknown := sorted(set(run) - set(KNOWN)):
            raise TypeError(f'run: unknown {", ".join(unknown)};'
                            f' known are {", ".join(KNOWN)}')
        self.ini = os.path.abspath(ini)
        self.name = name or os.path.splitext(os.path.basename(ini))[0]
        self.overrides = dict(overrides or {})
        self.program = list(program)
        self.server = server
        self.variables = dict(variables or {})
        self.environment: Mapping[str, str] | None = None
        #: Whether this process is the child of ``fg --reload``.
        self.is_reloaded = False
        self.user: str = run.get('user') or ''
        self.start_timeout: float | None = run.get('start_timeout')
        folder = os.path.dirname(self.ini)
        self.pid_file, self.socket, self.transcript = (
            os.path.abspath(run.get(key) or os.path.join(
                folder, f'{self.name}.{suffix}'))
            for key, suffix in FILES.items())
        #: The keys of ZooKeeper sessions, beside the pid file.
        self.session_file = os.path.splitext(self.pid_file)[0] + '.session'


def program(argv: Sequence[str]) -> list[str]:
    """Return the command that started this process, less its last words.

    `argv` are those words, the arguments.  The command with other arguments
    makes this program do something else, in any directory.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    if argv and command[-len(argv):] == list(argv):
        del command[-len(argv):]
    script = sys.argv[0]
    if script in command and os.path.isfile(script):
        command[command.index(script)] = os.path.abspath(script)
    return command
