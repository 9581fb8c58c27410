"""A parent of workers under a launcher that has loaded the application.

pserve and Zope's runwsgi load the application first, and then call the server.
A parent does not use it, but would keep what it holds: its memory, its
connections, and its locks, for which each worker would wait in vain.  So the
process replaces its program (execve(2)) by a parent alone.  Its pid stays, so
that systemd or a supervisor notices nothing; files and locks are closed.
"""
from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import sessionfile
from zc.zkzopeserver import workers
from zc.zkzopeserver.errors import StartError

logger = logging.getLogger('zc.zkzopeserver.workers')

# The program of the parent.  Python runs it isolated (-I), so that nothing is
# imported from the working directory before the path is that of the launcher.
PROGRAM = ('import json, sys; state = json.load(open(int(sys.argv[1])));'
           ' sys.path[:] = state["path"];'
           ' from zc.zkzopeserver.workers import launcher;'
           ' launcher.resume(state)')


def is_reloading() -> bool:
    """Return whether hupper runs this process, as for ``--reload``.

    Its child process cannot be started a second time: it begins with a pipe
    from hupper.
    """
    hupper = sys.modules.get('hupper')
    return hupper is not None and hupper.is_active()


def serve_alone(options: option_table.Options) -> None:
    """Have this process serve, instead of workers; say so in the log."""
    logger.warning(
        "option 'workers': one process serves instead of %d, as hupper"
        ' reloads it; without --reload there are %d, and SIGHUP replaces'
        ' them', options.workers, options.workers)
    options.workers = 1


def become_parent(local_conf: Mapping[str, str],
                  global_conf: Mapping[str, str], where: str) -> NoReturn:
    """Go on as a parent of workers, in this process, without an application.

    The exit functions of the application and of its libraries run first
    (`atexit`), as at the end of a process.  `where` names the section for
    messages.  Raise ConfigurationError in any other than the main thread.
    """
    workers.require_main_thread()
    command = workers.own_command()
    state = {'command': command, 'path': sys.path, 'argv': sys.argv,
             'options': dict(local_conf), 'where': where,
             'global_conf': dict(global_conf)}
    with tempfile.TemporaryFile('w+', encoding='utf-8') as file:
        json.dump(state, file)
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        atexit._run_exitfuncs()
        for stream in sys.stdout, sys.stderr:
            if stream is not None:
                stream.flush()
        # The command is there for the readers of ps(1).
        os.execv(sys.executable, [sys.executable, '-I', '-c', PROGRAM,
                                  str(file.fileno()), *command[1:]])


def resume(state: dict[str, Any]) -> NoReturn:
    """Run the parent that `become_parent` has described; exit with its status.

    Logging is set up as the launcher had done it.
    """
    sys.argv[:] = state['argv']
    try:
        options = option_table.parse(state['options'], state['where'])
        if options.loggers is None:
            ini = state['global_conf'].get('__file__')
            if ini and logconfig.has_sections(ini):
                logconfig.configure_ini(ini, state['global_conf'])
            else:
                logconfig.configure_default()
        with contextlib.ExitStack() as stack:
            file = None
            if options.session_file is not None:
                file = stack.enter_context(sessionfile.serving(
                    options.session_file))
            status = workers.run_parent(options, state['command'], file)
    except StartError as error:
        print(error, file=sys.stderr)
        status = error.exit_status
    sys.exit(status)
