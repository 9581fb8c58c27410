"""``bin/NAME``: run what an ini says, with exit statuses for its operators.

The server is reached only through the ini's entry point, so that this script
and any other paste launcher take the same way.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from paste.deploy import loadwsgi

from zc.zkzopeserver import logconfig

EXIT_STATUSES = """\
exit status: 0 stopped as asked; 1 an error, or stopped at once at a second
signal; 2 an option, an address or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there; 4 not ready in time."""


def main(ini: str, name: str = '', argv: Sequence[str] | None = None) -> int:
    """Run the application and the server of `ini`; the exit status.

    An exception with an `exit_status` is a user's to mend: it is printed a
    line a problem.  Any other is a defect and keeps its traceback.
    """
    arguments = parser(name).parse_args(argv)
    # A buildout's script starts without its own folder on the path, and so
    # does the ini: relative names in it are relative to its folder.
    try:
        logconfig_needed = load(ini, dict(arguments.option))
        return serve(*logconfig_needed)
    except Exception as reason:
        status = getattr(reason, 'exit_status', None)
        if status is None:
            raise
        for line in str(reason).splitlines():
            print(f'{name or os.path.basename(ini)}: {line}', file=sys.stderr)
        return status


def parser(name: str) -> argparse.ArgumentParser:
    """The command line of ``bin/NAME``."""
    made = argparse.ArgumentParser(
        prog=name or None, epilog=EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Serve the application, registered in ZooKeeper, in the'
                    ' foreground, until SIGTERM or SIGINT.')
    made.add_argument(
        '-o', '--option', metavar='NAME=VALUE', action='append', default=[],
        type=name_and_value,
        help='a server option that stands instead of the one in the ini'
             ' (can be given several times)')
    return made


def name_and_value(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` of the command line."""
    name, equals, value = text.partition('=')
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE')
    return name, value


def load(ini: str, overrides: dict[str, str]) -> tuple[Any, Any]:
    """(server, application) of the ini, in the order that finds errors soon.

    The server's entry point is loaded first: it costs less than the
    application, and options are checked when it is called.
    """
    uri = 'config:' + os.path.abspath(ini)
    context = loadwsgi.loadcontext(loadwsgi.SERVER, uri)
    context.local_conf.update(overrides)
    if 'loggers' not in context.local_conf:
        logconfig.configure_default()
    return context.create(), loadwsgi.loadapp(uri)


def serve(server: Any, application: Any) -> int:
    """Run the server until it ends; the exit status."""
    server(application)
    return 0
