"""Options of the server in environment variables.

``ZKZOPESERVER_THREADS=8`` is the option `threads`.  Such options come before
those of the ini, and behind those of the command line.
"""
from __future__ import annotations

import os
from collections.abc import Mapping

from zope.server.options import parse_texts

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.errors import ConfigurationError

PREFIX = 'ZKZOPESERVER_'


def read(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options in environment variables, their strings by name.

    `variables` are by default those of this process.  ConfigurationError, a
    line a problem that names the variable, for an option that there is not
    and for a value that is wrong.
    """
    variables = os.environ if variables is None else variables
    found = {}
    problems = []
    for variable in sorted(variables):
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        known = option_table.BY_NAME
        table = {name: known[name]} if name in known else known
        text = {name: variables[variable]}
        # Of the other options, some are required: that is not asked here.
        wrong = parse_texts(table, text)[1][:1]
        problems += [f'environment variable {variable}: {problem}'
                     for problem in wrong]
        found.update(text)
    if problems:
        raise ConfigurationError('\n'.join(problems))
    return found


def of_process(pid: int) -> dict[str, str] | None:
    """Return the options in the environment that a process started with.

    None where this user is not allowed to see it, where the process has
    overwritten it (as setproctitle does), and for what `read` refuses.
    """
    # Imported here: a process that serves does not need it.
    import psutil
    try:
        variables = psutil.Process(pid).environ()
        return read(variables) if variables else None
    except (psutil.Error, OSError, ConfigurationError):
        return None
