"""``monitor``: ask the monitor servers that are found in ZooKeeper."""
from __future__ import annotations

import argparse
import sys

from zc.zkzopeserver import monitor
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options

DESCRIPTION = """\
Send a command to the monitor server of each of our workers, found in
ZooKeeper, and print the answers; `help` lists the commands.  --at chooses one
of the providers, be it ours or another machine's.

A worker that was taken out by `monitor deregister` is not in ZooKeeper: its
monitor server is then looked for on this machine."""

STATUSES = """\
exit status: 0 all have answered; 1 one has not, or there is none; 2 an option
or a file is wrong; 3 ZooKeeper cannot be reached, or the path is not there."""

TIMEOUT_S = 10.0

# A monitor, by what to call it, and where it listens.
Target = tuple[str, str | tuple[str, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `monitor`."""
    parser.add_argument('--at', metavar='ADDRESS',
                        help='the provider to ask: its HOST:PORT, or its'
                             " monitor's")
    parser.add_argument('--timeout', metavar='SECONDS', type=float,
                        default=TIMEOUT_S,
                        help=f'for an answer (default: {TIMEOUT_S:g})')
    parser.add_argument('command', metavar='COMMAND', nargs='...',
                        help='the command and its arguments (default: help)')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Ask, and print the answers."""
    processes.become(instance.user)
    settings = InstanceSettings.of_running(instance)
    with Providers(settings.ours) as providers:
        nodes = providers.nodes()
    if arguments.at:
        targets = [chosen(nodes, arguments.at)]
    else:
        targets = ours(settings, nodes)
    command = ' '.join(arguments.command) or 'help'
    return ask_all(instance, targets, command, arguments.timeout)


def chosen(nodes: list[Provider], address: str) -> Target:
    """The monitor of the provider at an address."""
    found = [node for node in nodes if address in (node.name, node.monitor)]
    if not found:
        raise StartError(f'no provider is registered at {address}; there are '
                         + (', '.join(node.name for node in nodes) or 'none'))
    if found[0].monitor is None:
        raise StartError(f'{found[0].name} has no monitor server')
    return found[0].name, found[0].monitor


def ours(settings: InstanceSettings, nodes: list[Provider]) -> list[Target]:
    """The monitors of our processes, each once."""
    instance, options = settings.instance, settings.ours
    process = survey.require_running(instance)
    pids = ([process.pid] if settings.workers == 1
            else survey.family_of(process.pid))
    found: dict[int, Target] = {}
    for node in nodes:
        if (node.pid in pids and node.monitor and node.pid not in found
                and survey.is_ours(node, options)):
            found[node.pid] = node.name, node.monitor
    for pid in pids:
        if pid not in found and (target := hidden(pid, options)):
            found[pid] = target
    if not found:
        raise StartError('no monitor server found' + (
            '' if options.monitor_server
            else ": there is no option 'monitor_server'"))
    return list(found.values())


def hidden(pid: int, options: Options) -> Target | None:
    """The monitor of a process that is not registered.

    Of where it listens, that is where nobody talks HTTP: the others answer
    `help` with an error, and do nothing.
    """
    wanted = options.monitor_server
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return f'pid {pid}', wanted
    for host, port in processes.ports(pid) or ():
        if wanted[1] in (0, port) and port != options.port:
            host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host)
            try:
                answer = monitor.ask((host, port), 'help', TIMEOUT_S)
            except StartError:
                continue
            if not answer.startswith('HTTP/'):
                return f'pid {pid}', (host, port)
    return None


def ask_all(instance: Instance, targets: list[Target], command: str,
            timeout_s: float) -> int:
    """Ask one after the other; a heading for each when there are several."""
    status = 0
    for name, address in targets:
        try:
            answer = monitor.ask(address, command, timeout_s)
        except StartError as reason:
            print(f'{instance.name}: {name}: {reason}', file=sys.stderr)
            status = 1
            continue
        if len(targets) > 1:
            print(f'{name}:')
        print(answer, end='' if answer.endswith('\n') else '\n', flush=True)
    return status


MONITOR = Verb(run, DESCRIPTION, STATUSES, add_arguments)
