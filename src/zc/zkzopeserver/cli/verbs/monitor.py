"""``monitor``: ask the monitor servers of a service."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import zc.zk
from zc.zk.printable import printable

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
    there is no such provider, or it has no monitor server that could be
    asked: what its node says is an address of a server, or the path of a unix
    socket of the node's own process.
    """
    # A node may say that it has any monitor, but has no name of another's.
    for node in sorted(nodes, key=lambda node: node.name != address):
        if address not in (node.name, node.monitor):
            continue
        name = printable(node.name)
        if node.monitor is None:
            raise StartError(f'{name} has no monitor server')
        try:
            return name, zc.zk.parse_server_addr(node.monitor)
        except ValueError as error:
            if (node.pid is not None
                    and node.monitor in processes.unix_sockets(node.pid)):
                return name, node.monitor
            problem = (printable(node.monitor) + ' is no socket of its process'
                       ' on this machine'
                       if '/' in node.monitor else str(error))
        raise StartError(f'the monitor server of {name}: {problem}')
    raise StartError(
        f'no provider is registered at {printable(address)}; there are '
        + (', '.join(printable(node.name) for node in nodes) or 'none'))


def ours(settings: InstanceSettings, nodes: list[Provider]) -> list[Target]:
    """Return the monitor servers of our processes; StartError without one.

    Nodes may say anything: only where our own processes listen are they
    asked.
    """
    options = settings.ours
    _, parent = survey.require_running(settings.instance)
    pids = ([parent] if settings.workers == 1
            else survey.family_of(parent))
    machine = survey.Machine(pids)
    targets = []
    for pid in pids:
        own = [node for node in nodes if node.pid == pid]
        address = find_monitor(pid, options,
                               [node.monitor for node in own if node.monitor])
        if address is not None:
            names = [printable(node.name) for node in own
                     if survey.is_ours(node, machine, options)]
            targets.append(((names or [f'pid {pid}'])[0], address))
    if not targets:
        raise StartError('no monitor server found' + (
            '' if options.monitor_server
            else ": there is no option 'monitor_server'"))
    return sorted(targets, key=lambda target: target[0])


def find_monitor(pid: int, options: Options, told: Sequence[str] = (),
                 timeout_s: float = TIMEOUT_S
                 ) -> tuple[str, int] | str | None:
    """Return where the monitor server of a process listens; None without one.

    `told` is what nodes with the process's pid say.  Of that, only what the
    process has is believed: a path among its unix sockets, a port on which it
    listens.  Where the operating system picked the port, such ports are tried
    first and the process's others then: each is sent ``help``.  An HTTP
    server answers that with an error, and does nothing.
    """
    wanted = options.monitor_server
    if isinstance(wanted, str):
        # The server may have another directory than this process.
        sockets = processes.unix_sockets(pid)
        return next((path for path in told if path in sockets), wanted)
    if wanted is None and not told:
        return None
    fixed = wanted[1] if wanted else 0
    first = set(map(told_port, told))
    listening = sorted(
        (address for address in processes.ports(pid) or ()
         if fixed in (0, address[1]) and address[1] != options.port),
        key=lambda address: address[1] not in first)
    for host, port in listening:
        host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host)
        if fixed or is_monitor((host, port), timeout_s):
            return host, port
    return None


def told_port(monitor_address: str) -> int | None:
    """Return the port in what a node says; None for no address."""
    try:
        return zc.zk.parse_server_addr(monitor_address)[1]
    except ValueError:
        return None


def is_monitor(address: tuple[str, int], timeout_s: float) -> bool:
    """Return whether a monitor server answers at an address."""
    try:
        answer = monitor.ask(address, 'help', timeout_s)
    except StartError:
        return False
    return not answer.startswith('HTTP/')


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
