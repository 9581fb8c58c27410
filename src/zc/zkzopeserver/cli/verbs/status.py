"""``status``: compare the processes of the server with its nodes.

The survey is printed for people, as JSON, or for Nagios.
"""
from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import Any

from zc.zk.printable import printable

from zc.zkzopeserver import monitor
from zc.zkzopeserver import sessionfile
from zc.zkzopeserver.cli import proof
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.survey import Owner
from zc.zkzopeserver.cli.survey import ProviderStatus
from zc.zkzopeserver.cli.survey import Survey
from zc.zkzopeserver.cli.survey import survey
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs.monitor import find_monitor
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options

DESCRIPTION = """\
Compare the processes of the server with its nodes in ZooKeeper, and ask each
address found there for an answer (for the path of the option `ready`, or for
/).  A node is the server's when its pid is that of the server or of one of its
workers, and its address is this machine's or what `advertise` says.  A process
without a node is asked, by its monitor server, whether an operator has taken
it out (`monitor deregister`), or it hangs or is unhealthy.

The sessions of processes that have died are ended first, see `forget`."""

STATUSES = """\
exit status, by the Linux Standard Base: 0 running, registered and answering,
with all workers; 1 dead, with its pid file, its node or its manager still
there; 3 not running; 4 not known (ZooKeeper cannot be reached, or an option is
wrong); 150 running, but not registered, not answering, or with fewer workers
than there should be.  With --nagios: 0 OK; 1 WARNING, fewer workers than there
should be; 2 CRITICAL, no worker answers; 3 UNKNOWN."""

# How long a monitor server may take to answer, in seconds.
MONITOR_S = 2.0

# Exit statuses of `status` of an init script (Linux Standard Base Core, "Init
# Script Actions"); 150 is in its range for applications.
RUNNING, DEAD, STOPPED, UNKNOWN = 0, 1, 3, 4
UNWELL = 150
STATES = {RUNNING: 'running', DEAD: 'dead', STOPPED: 'stopped',
          UNKNOWN: 'unknown', UNWELL: 'unwell'}

# Exit statuses of a plug-in of Nagios (Nagios Plugins Development
# Guidelines), and their words.
OK, WARNING, CRITICAL, NAGIOS_UNKNOWN = range(4)
WORDS = 'OK', 'WARNING', 'CRITICAL', 'UNKNOWN'

# Why a process is out of ZooKeeper.
DEREGISTERED = 'deregistered'
TROUBLES = 'hung', 'unhealthy'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `status`."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument('--json', action='store_true',
                       help='as a JSON object')
    forms.add_argument('--nagios', action='store_true',
                       help='as a plug-in of Nagios')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Print a survey of the server; return the exit status."""
    result = look(instance)
    if arguments.nagios:
        print(nagios(result))
        return nagios_status(result)
    print(as_json(result) if arguments.json else text(result))
    return exit_status(result)


def look(instance: Instance) -> Survey:
    """End the sessions of dead processes; return the survey."""
    settings = read_running(instance)
    # Before the nodes are read.
    forgotten = sessionfile.forget(instance.session_file)
    return dataclasses.replace(look_at(settings), forgotten=forgotten)


def look_at(settings: InstanceSettings) -> Survey:
    """Return the survey of an instance with these settings."""
    if settings.options is None:
        return survey(settings)
    try:
        with Providers(settings.options) as providers:
            result = survey(settings, providers.nodes())
    except RegistrationError as error:
        return survey(settings, problem=str(error))
    told = {pid: absence(pid, settings.options)
            for pid in result.unregistered}
    return dataclasses.replace(
        result,
        deregistered=tuple(pid for pid, why in told.items()
                           if why == DEREGISTERED),
        troubles={pid: why for pid, why in told.items() if why in TROUBLES})


def absence(pid: int, options: Options) -> str:
    """Return why a process is out of ZooKeeper, by its monitor server.

    DEREGISTERED when an operator has taken it out, one of TROUBLES when it
    has left by itself; '' without an answer.
    """
    with contextlib.suppress(StartError, ValueError):
        if address := find_monitor(pid, options, timeout_s=MONITOR_S):
            told = json.loads(monitor.ask(address, 'status json', MONITOR_S))
            # Another process may listen where the options say.
            if (isinstance(told, dict)
                    and told.get('pid') == proof.inner_pid(pid)):
                if told.get('deregistered') is True:
                    return DEREGISTERED
                if told.get('state') in TROUBLES:
                    return str(told['state'])
    return ''


def unknown(instance: Instance, error: Exception,
            arguments: argparse.Namespace) -> int:
    """Print why there is no survey; return the exit status."""
    lines = str(error).split('\n')
    if arguments.nagios:
        print(f'{instance.name} UNKNOWN: '
              + '; '.join(lines).replace('|', '/'))
        return NAGIOS_UNKNOWN
    for problem in lines:
        print(f'{instance.name}: {problem}', file=sys.stderr)
    return UNKNOWN


def exit_status(result: Survey) -> int:
    """Return the exit status of the Linux Standard Base."""
    if result.process.pid is None:
        is_dead = result.process.is_dead or result.of(Owner.DEAD)
        return DEAD if is_dead else STOPPED
    if result.problem:
        return UNKNOWN
    return RUNNING if result.is_up else UNWELL


# For people.

def text(result: Survey) -> str:
    """Return a survey as text; its first line is the summary."""
    return '\n'.join([f'{result.name}: {summary(result)}',
                      *(f'  {line}' for line in details(result))])


def summary(result: Survey) -> str:
    """Return a survey as one line."""
    process = result.process
    if process.pid is None:
        return absent(result)
    running = f'running, pid {process.pid}' + (
        f', in the background (zdaemon {process.manager.pid})'
        if process.manager else ', not started by `start`')
    if result.problem:
        return f'{running}; whether it is registered is not known'
    return f'{running}; {counted(result)}'


def absent(result: Survey) -> str:
    """Return why the server has no process."""
    process = result.process
    if process.manager:
        return (f'dead; zdaemon {process.manager.pid} is about to start it'
                ' again')
    if process.stale_pid:
        return (f'dead: pid {process.stale_pid} is gone and has left its pid'
                ' file')
    if result.of(Owner.DEAD):
        return 'dead: it is gone and is still registered'
    return 'not running'


def counted(result: Survey) -> str:
    """Return how many processes are registered and answer."""
    if not result.registers:
        return 'answering' if result.is_up else 'not answering'
    expected, answering = result.expected, len(result.answering)
    if expected == 1 and answering == 1 and result.is_up:
        return 'registered and answering'
    taken_out = len(result.deregistered)
    return (f'{answering} of {expected} registered and answering'
            + (f', {taken_out} taken out by an operator' if taken_out
               else ''))


def details(result: Survey) -> Iterator[str]:
    """Yield a line for each node, unregistered process and problem."""
    for provider in result.providers:
        if provider.owner is not Owner.OTHER:
            yield described(provider, result.registers)
    for pid in result.unregistered if result.registers else ():
        if pid in result.deregistered:
            yield (f'pid {pid}: alive, taken out by an operator (`monitor'
                   ' deregister`; `monitor register` puts it back)')
        elif pid in result.troubles:
            yield (f'pid {pid}: alive, {result.troubles[pid]}; it has left by'
                   ' itself, and comes back')
        elif not result.problem:
            yield f'pid {pid}: alive, not registered'
    if result.problem:
        yield result.problem
    for key in result.forgotten.ended:
        yield f'ended {key}, which has died'
    yield from result.forgotten.problems
    if result.process.pid is None:
        for key in result.forgotten.living:
            yield (f'pid {key.pid} serves on without its parent: for a new'
                   ' one, or until `stop`')
    others = result.of(Owner.OTHER)
    if others:
        yield f'registered by somebody else: {len(others)}'
        for provider in others:
            yield '  ' + described(provider, True)


def described(provider: ProviderStatus, registers: bool) -> str:
    """Return a provider as one line."""
    node = provider.node
    name = printable(node.name)
    pid = 'no pid' if node.pid is None else f'pid {node.pid}'
    if provider.owner is Owner.DEAD:
        return f'{name} ({pid}): registered, dead'
    if provider.owner is Owner.ORPHAN:
        return (f'{name} ({pid}): registered, dead; it was a process of'
                ' this machine')
    if provider.owner is Owner.OTHER:
        return f'{name} ({pid})'
    if provider.is_well:
        answer = f' {provider.answer}' if provider.answer else ''
        how = f'answers{answer}'
    elif isinstance(provider.answer, int):
        how = f'answers {provider.answer}, which is not ready'
    else:
        how = f'does not answer: {provider.answer}'
    return f'{name} ({pid}): {"registered, " * registers}{how}'


# For programs.

def as_dict(result: Survey) -> dict[str, Any]:
    """Return a survey as its JSON object."""
    manager = result.process.manager
    status = exit_status(result)
    return {
        'name': result.name,
        'state': STATES[status],
        'status': status,
        'pid': result.process.pid,
        'stale_pid': result.process.stale_pid,
        'manager_pid': manager and manager.pid,
        'expected': result.expected,
        'registered': len(result.registered) if result.registers else None,
        'answering': len(result.answering),
        'unregistered_pids': (result.unregistered
                              if result.registers and not result.problem
                              else []),
        'deregistered_pids': list(result.deregistered),
        'troubles': {str(pid): why
                     for pid, why in result.troubles.items()},
        'problem': result.problem or None,
        'ended_sessions_of': [key.pid for key in result.forgotten.ended],
        'nodes': [{'name': each.node.name, 'pid': each.node.pid,
                   'monitor': each.node.monitor, 'whose': each.owner.value,
                   'answer': each.answer, 'well': each.is_well}
                  for each in result.providers if result.registers
                  or each.owner is not Owner.OTHER]}


def as_json(result: Survey) -> str:
    """Return a survey as JSON text."""
    return json.dumps(as_dict(result), indent=2)


# For Nagios.

def nagios_status(result: Survey) -> int:
    """Return the exit status for Nagios.

    Critical when no process answers, a warning when some do not.
    """
    if result.process.pid is None:
        return CRITICAL
    if result.problem:
        return NAGIOS_UNKNOWN
    if result.is_up:
        return OK
    return WARNING if result.answering else CRITICAL


def nagios(result: Survey) -> str:
    """Return the line of a Nagios plug-in, with its performance data."""
    word = WORDS[nagios_status(result)]
    answering, expected = len(result.answering), result.expected
    problem = f'; {result.problem}' if result.problem else ''
    line = f'{result.name} {word}: {summary(result)}{problem}'
    return (line.replace('|', '/').replace('\n', '; ')
            + f' | answering={answering};{expected}:;1:;0'
            f' registered={len(result.registered)};{expected}:;1:;0')


STATUS = Verb(run, DESCRIPTION, STATUSES, add_arguments, on_error=unknown)
