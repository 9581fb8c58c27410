"""Where a server's ini is, and the files of its process."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

# What a start script may say, and what it does not say is beside the ini.
FILES = {'pid': 'pid', 'socket': 'sock', 'transcript': 'log'}
KNOWN = (*FILES, 'user', 'start_timeout')


class Instance:
    """A server of this machine: its ini, its name, the files of its process.

    `run` are the keyword arguments of a start script: ``pid``, ``socket``
    and ``transcript``, paths; ``user``, who the server runs as when root
    starts it; ``start_timeout``, seconds.  `overrides` are the options of
    the command line; `program` is what makes this program run.
    """

    def __init__(self, ini: str, name: str = '',
                 overrides: Mapping[str, str] | None = None,
                 run: Mapping[str, Any] | None = None,
                 program: Sequence[str] = ()) -> None:
        run = run or {}
        if unknown := sorted(set(run) - set(KNOWN)):
            raise TypeError(f'run: unknown {", ".join(unknown)};'
                            f' known are {", ".join(KNOWN)}')
        self.ini = os.path.abspath(ini)
        self.name = name or os.path.splitext(os.path.basename(ini))[0]
        self.overrides = dict(overrides or {})
        self.program = list(program)
        self.user: str = run.get('user') or ''
        self.start_timeout: float | None = run.get('start_timeout')
        folder = os.path.dirname(self.ini)
        self.pid_file, self.socket, self.transcript = (
            os.path.abspath(run.get(key) or os.path.join(
                folder, f'{self.name}.{kind}'))
            for key, kind in FILES.items())


def program(argv: Sequence[str]) -> list[str]:
    """What this process was started with, without its arguments `argv`.

    With other arguments, it makes this program do something else.
    """
    found = [sys.executable, *sys.orig_argv[1:]]
    if argv and found[-len(argv):] == list(argv):
        del found[-len(argv):]
    script = sys.argv[0]
    if script in found and os.path.isfile(script):
        # Others may start it in another directory.
        found[found.index(script)] = os.path.abspath(script)
    return found
