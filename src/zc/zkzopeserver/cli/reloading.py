"""``fg --reload``: serve anew whenever a file changes (hupper).

This process watches files and holds the pid file; a child process serves.
When a module of the application, the ini or a file of `reload_files` changes,
the child stops as at any stop, and another takes its place.  A child that ends
by itself, as a module is broken, is not replaced before a file changes.
"""
from __future__ import annotations

import glob
import importlib.util
import logging
import os
import signal
import sys
from typing import Any
from typing import NoReturn

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import main
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import find
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.workers.protocol import WorkerOptions

logger = logging.getLogger('zc.zkzopeserver.cli')


def run(instance: Instance) -> NoReturn:
    """Watch, and have children serve, until SIGTERM or Ctrl-C.

    SIGHUP replaces the child at once.  SystemExit with the exit status of the
    last child.  ConfigurationError where hupper is not installed.
    """
    if importlib.util.find_spec('hupper') is None:
        raise ConfigurationError('--reload needs the hupper distribution; add'
                                 ' zc.zkzopeserver[reload] to the eggs')
    import hupper
    logger.setLevel(logging.INFO)
    # For the child alone; it would end this process.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    hupper.start_reloader(
        f'{__name__}.serve', worker_args=[instance], logger=logger,
        shutdown_interval=stop_s(instance))
    raise SystemExit(0)


def stop_s(instance: Instance) -> float:
    """Return the seconds that a child has for its stop."""
    try:
        values, _ = option_table.check(Ini(instance).options)
    except StartError:
        # The child says what is wrong.
        values = {}
    return WorkerOptions.of(option_table.Options(values)).stop_s


def serve(instance: Instance) -> NoReturn:
    """Be the child: serve as `fg` does, and exit with its status.

    hupper calls it, and watches the modules that this process imports.
    """
    proxy = reloader()
    proxy.watch_files([instance.ini])
    instance.is_reloaded = True
    try:
        status = main.run(find(main.DEFAULT), instance, None)
    except SyntaxError as error:
        if error.filename:
            # Such a module is not imported, nor in the traceback.
            proxy.watch_files([error.filename])
        raise
    if not status:
        # It was asked to stop, and not for a change of a file.
        proxy.graceful_shutdown()
    sys.exit(status)


def watch(ini: Ini) -> None:
    """Have the files watched that the option `reload_files` names."""
    # What is wrong is for the server to tell.
    values, _ = option_table.check(ini.options)
    names = values.get('reload_files', ())
    folder = os.path.dirname(ini.path)
    reloader().watch_files([os.path.join(glob.escape(folder), name)
                            for name in names])


def reloader() -> Any:
    """Return hupper's link to the process that watches."""
    import hupper
    return hupper.get_reloader()
