"""``status``: the registry and reality, side by side."""
from __future__ import annotations

import argparse
import sys

from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.instance import Place
from zc.zkzopeserver.cli.settings import Settings
from zc.zkzopeserver.cli.verbs import report
from zc.zkzopeserver.errors import RegistrationError

DESCRIPTION = """\
Compare the processes of the server with its nodes in ZooKeeper, and ask each
address found there for an answer (for the path of the option `ready`, or for
/).  A node is ours when its pid is that of our process, or of a worker of
ours, and its address is this machine's or what `advertise` says."""

STATUSES = """\
exit status, as the Linux Standard Base has it: 0 running, registered and
answering, with all workers; 1 dead, and its pid file, its node or its manager
is still there; 3 not running; 4 not known (ZooKeeper cannot be reached, or
an option is wrong); 150 running, but not registered, not answering, or with
fewer workers than there should be.  With --nagios: 0 OK; 1 WARNING, fewer
workers than there should be; 2 CRITICAL, none that answers; 3 UNKNOWN."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `status`."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument('--json', action='store_true',
                       help='as a JSON object')
    forms.add_argument('--nagios', action='store_true',
                       help='as a plug-in of Nagios')


def run(place: Place, arguments: argparse.Namespace) -> int:
    """Print what is found; the exit status says it, too."""
    try:
        found = look(place)
    except Exception as reason:
        if getattr(reason, 'exit_status', None) is None:
            raise
        return unknown(place, reason, arguments)
    if arguments.nagios:
        print(report.nagios(found))
        return report.nagios_status(found)
    print(report.as_json(found) if arguments.json else report.text(found))
    return report.status(found)


def look(place: Place) -> survey.Survey:
    """The survey of a place."""
    settings = Settings.of_running(place)
    if settings.options is None:
        return survey.survey(settings)
    # Imported by those who have something to look for there.
    from zc.zkzopeserver.cli.providers import Registry
    try:
        with Registry(settings.options) as registry:
            return survey.survey(settings, registry.nodes())
    except RegistrationError as reason:
        return survey.survey(settings, problem=str(reason))


def unknown(place: Place, reason: Exception,
            arguments: argparse.Namespace) -> int:
    """Print why nothing is known; the exit status."""
    lines = str(reason).splitlines()
    if arguments.nagios:
        print(f'{place.name} UNKNOWN: ' + '; '.join(lines).replace('|', '/'))
        return report.NAGIOS_UNKNOWN
    for line in lines:
        print(f'{place.name}: {line}', file=sys.stderr)
    return report.UNKNOWN
