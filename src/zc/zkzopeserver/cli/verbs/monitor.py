"""``monitor``: ask the monitor servers of a service."""
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
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options

DESCRIPTION = """\
Send a command to the monitor server of each worker, found in ZooKeeper, and
print the answers; `help` lists the commands.  --at chooses one provider, also
of another machine.

A worker that was taken out by `monitor deregister` is not in ZooKeeper: its
monitor server is then looked for on this machine."""

STATUSES = """\
exit status: 0 all monitor servers have answered; 1 one has not, or there is
none; 2 an option or a file is wrong; 3 ZooKeeper cannot be reached, or the
path is not there."""

# How long a monitor server may take to answer, unless --timeout says it.
TIMEOUT_S = 10.0

# (name of a monitor server for messages, address where it listens): a path
# is that of a unix socket.
Target = tuple[str, str | tuple[str, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `monitor`."""
    parser.add_argument('--at', metavar='ADDRESS',
                        help='the provider to ask: its HOST:PORT, or its'
                             " monitor's")
    parser.add_argument('--timeout', metavar='SECONDS', type=float,
                        default=TIMEOUT_S,
                        help=f'for an answer (default: {TIMEOUT_S:g})')
    parser.add_argument('command', metavar='COMMAND', nargs='...',
                        help='the command and its arguments (default: help)')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Print the monitor servers' answers; return the exit status."""
    settings = read_running(instance)
    with Providers(settings.ours) as providers:
        nodes = providers.nodes()
    if arguments.at:
        targets = [chosen(nodes, arguments.at)]
    else:
        targets = ours(settings, nodes)
    command = ' '.join(arguments.command) or 'help'
    return ask_all(instance, targets, command, arguments.timeout)


def chosen(nodes: list[Provider], address: str) -> Target:
    """Return the monitor server of the provider at an address.

    The address is the provider's or its monitor server's.  StartError when
    there is no such provider, or it has no monitor server.
    """
    for node in nodes:
        if address in (node.name, node.monitor):
            if node.monitor is None:
                raise StartError(f'{node.name} has no monitor server')
            return node.name, node.monitor
    raise StartError(f'no provider is registered at {address}; there are '
                     + (', '.join(node.name for node in nodes) or 'none'))


def ours(settings: InstanceSettings, nodes: list[Provider]) -> list[Target]:
    """Return the monitor servers of our processes; StartError without one."""
    options = settings.ours
    _, parent = survey.require_running(settings.instance)
    pids = ([parent] if settings.workers == 1
            else survey.family_of(parent))
    targets: dict[int, Target] = {}
    for node in nodes:
        if (node.pid is not None and node.pid in pids and node.monitor
                and node.pid not in targets
                and survey.is_ours(node, options)):
            targets[node.pid] = node.name, node.monitor
    for pid in pids:
        if pid not in targets and (target := unregistered(pid, options)):
            targets[pid] = target
    if not targets:
        raise StartError('no monitor server found' + (
            '' if options.monitor_server
            else ": there is no option 'monitor_server'"))
    return list(targets.values())


def unregistered(pid: int, options: Options,
                 timeout_s: float = TIMEOUT_S) -> Target | None:
    """Find the monitor server of a process that is not in ZooKeeper.

    Its address is not known when the operating system picked the port: each
    port of the process is sent ``help``.  The HTTP server answers that with
    an error and does nothing.  None when there is no monitor server.
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
                answer = monitor.ask((host, port), 'help', timeout_s)
            except StartError:
                continue
            if not answer.startswith('HTTP/'):
                return f'pid {pid}', (host, port)
    return None


def ask_all(instance: Instance, targets: list[Target], command: str,
            timeout_s: float) -> int:
    """Ask one monitor server after the other; return the exit status.

    With several, each answer has the name of its provider above it.
    """
    status = 0
    for name, address in targets:
        try:
            answer = monitor.ask(address, command, timeout_s)
        except StartError as error:
            print(f'{instance.name}: {name}: {error}', file=sys.stderr)
            status = 1
            continue
        if len(targets) > 1:
            print(f'{name}:')
        print(answer, end='' if answer.endswith('\n') else '\n', flush=True)
    return status


MONITOR = Verb(run, DESCRIPTION, STATUSES, add_arguments)
