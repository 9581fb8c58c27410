"""``status``: the providers and reality, side by side."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.survey import Owner
from zc.zkzopeserver.cli.survey import ProviderStatus
from zc.zkzopeserver.cli.survey import Survey
from zc.zkzopeserver.cli.verbs import Verb
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


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Print what is found; the exit status says it, too."""
    try:
        found = look(instance)
    except Exception as reason:
        if getattr(reason, 'exit_status', None) is None:
            raise
        return unknown(instance, reason, arguments)
    if arguments.nagios:
        print(nagios(found))
        return nagios_status(found)
    print(as_json(found) if arguments.json else text(found))
    return status(found)


def look(instance: Instance) -> survey.Survey:
    """The survey of a instance."""
    settings = InstanceSettings.of_running(instance)
    if settings.options is None:
        return survey.survey(settings)
    # Imported by those who have something to look for there.
    from zc.zkzopeserver.cli.providers import Providers
    try:
        with Providers(settings.options) as providers:
            return survey.survey(settings, providers.nodes())
    except RegistrationError as reason:
        return survey.survey(settings, problem=str(reason))


def unknown(instance: Instance, reason: Exception,
            arguments: argparse.Namespace) -> int:
    """Print why nothing is known; the exit status."""
    lines = str(reason).splitlines()
    if arguments.nagios:
        print(f'{instance.name} UNKNOWN: '
              + '; '.join(lines).replace('|', '/'))
        return NAGIOS_UNKNOWN
    for line in lines:
        print(f'{instance.name}: {line}', file=sys.stderr)
    return UNKNOWN


RUNNING, DEAD, STOPPED, UNKNOWN = 0, 1, 3, 4
UNWELL = 150

# Of the plug-in interface of Nagios.
OK, WARNING, CRITICAL, NAGIOS_UNKNOWN = range(4)
WORDS = 'OK', 'WARNING', 'CRITICAL', 'UNKNOWN'


def status(survey: Survey) -> int:
    """The exit status of the Linux Standard Base."""
    if survey.process.pid is None:
        is_dead = survey.process.is_dead or survey.of(Owner.DEAD)
        return DEAD if is_dead else STOPPED
    if survey.problem:
        return UNKNOWN
    return RUNNING if survey.is_up else UNWELL


def state(survey: Survey) -> str:
    """The same in a word."""
    return {RUNNING: 'running', DEAD: 'dead', STOPPED: 'stopped',
            UNKNOWN: 'unknown', UNWELL: 'unwell'}[status(survey)]


# For people.

def text(survey: Survey) -> str:
    """All of it, the first line the sum of it."""
    return '\n'.join([f'{survey.name}: {summary(survey)}',
                      *(f'  {line}' for line in details(survey))])


def summary(survey: Survey) -> str:
    """One line."""
    process = survey.process
    if process.pid is None:
        return absent(survey)
    found = f'running, pid {process.pid}' + (
        f', in the background (zdaemon {process.manager.pid})'
        if process.manager else ', not started by `start`')
    if survey.problem:
        return f'{found}; whether it is registered is not known'
    return f'{found}; {counted(survey)}'


def absent(survey: Survey) -> str:
    """How it is that there is no process."""
    process = survey.process
    if process.manager:
        return (f'dead; zdaemon {process.manager.pid} is about to start it'
                ' again')
    if process.stale:
        return f'dead: pid {process.stale} is gone and has left its pid file'
    if survey.of(Owner.DEAD):
        return 'dead: it is gone and is still registered'
    return 'not running'


def counted(survey: Survey) -> str:
    """How many are as they should be."""
    if not survey.registers:
        return {True: 'answering', False: 'not answering'}[survey.is_up]
    expected, found = survey.expected, len(survey.answering)
    if expected == 1 and found == 1 and survey.is_up:
        return 'registered and answering'
    return (f'{found} of {expected} registered and answering')


def details(survey: Survey) -> Iterator[str]:
    """A line for each node and process, and for ZooKeeper when it fails."""
    for provider in survey.providers:
        if provider.kind is not Owner.OTHER:
            yield line(provider, survey.registers)
    for pid in survey.unregistered if survey.registers else ():
        if not survey.problem:
            yield f'pid {pid}: alive, not registered'
    if survey.problem:
        yield survey.problem
    others = survey.of(Owner.OTHER)
    if others:
        yield f'registered by somebody else: {len(others)}'
        for provider in others:
            yield '  ' + line(provider, True)


def line(provider: ProviderStatus, registers: bool) -> str:
    """A node in words."""
    node = provider.node
    pid = 'no pid' if node.pid is None else f'pid {node.pid}'
    if provider.kind is Owner.DEAD:
        return f'{node.name} ({pid}): registered, dead'
    if provider.kind is Owner.ORPHAN:
        return (f'{node.name} ({pid}): registered, dead; it was a process of'
                ' this machine')
    if provider.kind is Owner.OTHER:
        return f'{node.name} ({pid})'
    if provider.is_well:
        answer = f' {provider.answer}' if provider.answer else ''
        how = f'answers{answer}'
    elif isinstance(provider.answer, int):
        how = f'answers {provider.answer}, which is not ready'
    else:
        how = f'does not answer: {provider.answer}'
    return f'{node.name} ({pid}): {"registered, " * registers}{how}'


# For programs.

def as_dict(survey: Survey) -> dict[str, Any]:
    """The survey as JSON has it."""
    manager = survey.process.manager
    return {
        'name': survey.name,
        'state': state(survey),
        'status': status(survey),
        'pid': survey.process.pid,
        'stale_pid': survey.process.stale,
        'manager_pid': manager and manager.pid,
        'expected': survey.expected,
        'registered': len(survey.registered) if survey.registers else None,
        'answering': len(survey.answering),
        'unregistered_pids': (survey.unregistered
                              if survey.registers and not survey.problem
                              else []),
        'problem': survey.problem or None,
        'nodes': [{'name': each.node.name, 'pid': each.node.pid,
                   'monitor': each.node.monitor, 'whose': each.kind.value,
                   'answer': each.answer, 'well': each.is_well}
                  for each in survey.providers if survey.registers
                  or each.kind is not Owner.OTHER]}


def as_json(survey: Survey) -> str:
    """The survey as text of JSON."""
    return json.dumps(as_dict(survey), indent=2)


# For Nagios.

def nagios_status(survey: Survey) -> int:
    """Critical when nobody is served; a warning when fewer are than should.
    """
    if survey.process.pid is None:
        return CRITICAL
    if survey.problem:
        return NAGIOS_UNKNOWN
    if survey.is_up:
        return OK
    return WARNING if survey.answering else CRITICAL


def nagios(survey: Survey) -> str:
    """The line of a plug-in, with its performance data."""
    word = WORDS[nagios_status(survey)]
    found, expected = len(survey.answering), survey.expected
    more = f'; {survey.problem}' if survey.problem else ''
    said = f'{survey.name} {word}: {summary(survey)}{more}'
    return (said.replace('|', '/').replace('\n', '; ')
            + f' | answering={found};{expected}:;1:;0'
            f' registered={len(survey.registered)};{expected}:;1:;0')


STATUS = Verb(run, DESCRIPTION, STATUSES, add_arguments)
