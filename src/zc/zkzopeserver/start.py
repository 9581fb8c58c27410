"""``bin/NAME``: run what an ini says, with exit statuses for its operators.

The server is reached only through the ini's entry point, so that this script
and any other paste launcher take the same way.
"""
from __future__ import annotations

import argparse
import configparser
import os
import sys
from collections.abc import Sequence
from typing import Any

from paste.deploy import loadwsgi

from zc.zkzopeserver import logconfig
from zc.zkzopeserver.errors import ConfigurationError

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
    try:
        server, application = load(ini, dict(arguments.option))
        server(application)
    except Exception as reason:
        status = getattr(reason, 'exit_status', None)
        if status is None:
            raise
        for line in str(reason).splitlines():
            print(f'{name or os.path.basename(ini)}: {line}', file=sys.stderr)
        return status
    return 0


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
    """(server, application) of the ini.

    Raises ConfigurationError for an ini that cannot be read or that has no
    server; what the application's own loading raises is left as it is.
    """
    uri = 'config:' + os.path.abspath(ini)
    try:
        server = loadwsgi.loadcontext(loadwsgi.SERVER, uri)
    except (OSError, LookupError, configparser.Error) as reason:
        raise ConfigurationError(
            f'{ini}: ' + ' '.join(str(reason).split())) from None
    server.local_conf.update(overrides)
    if 'loggers' not in server.local_conf:
        logconfig.configure_default()
    return server.create(), loadwsgi.loadapp(uri)
