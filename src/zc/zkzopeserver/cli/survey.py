"""Compare a service's nodes in ZooKeeper with this machine's processes."""
from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import time
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping

import zc.zk

from zc.zkzopeserver import readiness
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import proof
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.parallel import concurrently
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.errors import NotProvenError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.sessionfile import Forgotten

# How long a provider gets to answer, how many are asked at once, and how long
# all of them get: any number of nodes can be made to count as ours.
ANSWER_S = 5.0
AT_ONCE = 16
ANSWERS_S = 30.0

# How long a connection to an address of this machine may take, and how long
# all of them, and all names that are resolved.
CONNECT_S = 1.0
LOOK_S = 5.0


@dataclasses.dataclass(frozen=True)
class ServerProcess:
    """The server's process: the one that serves, or the parent of workers.

    `pid` is None when there is none.  `stale_pid` is that of a process that
    has died without removing its pid file; None without one.  `manager` is
    the zdaemon that runs it in the background; None in the foreground.
    """

    pid: int | None = None
    stale_pid: int | None = None
    manager: zdaemon.Manager | None = None

    @property
    def is_dead(self) -> bool:
        """Whether it is not there, and should be."""
        return self.pid is None and bool(self.stale_pid or self.manager)


def find(instance: Instance) -> ServerProcess:
    """Find the server's process by its pid file and its manager.

    NotProvenError when either is there, and it is not proved which process
    it is.
    """
    manager = None
    try:
        manager = proof.find_manager(instance.socket)
    except zdaemon.NotAllowed:
        # Every user may read the pid file.
        pass
    recorded = pidfile.read(instance.pid_file)
    if recorded and recorded.is_alive:
        return ServerProcess(recorded.pid, manager=manager)
    pid = manager.server if manager else 0
    return ServerProcess(pid or None, recorded.pid if recorded else None,
                         manager)


class Owner(enum.Enum):
    """The owner of a node, by its pid and its address.

    OURS: a live process of the instance.  DEAD: a process of the instance
    that has ended.  ORPHAN: a process of this machine that has ended, of
    this instance or not.  OTHER: anything else.
    """

    OURS = 'ours'
    DEAD = 'dead'
    ORPHAN = 'orphan'
    OTHER = 'other'


@dataclasses.dataclass(frozen=True)
class ProviderStatus:
    """A provider's node, its owner, and what its address answers.

    `answer` is the status of an HTTP response, or a text that says why there
    is none; None when it was not asked.  `is_well` is whether the answer is
    as it should be.
    """

    node: Provider
    owner: Owner
    answer: int | str | None = None
    is_well: bool = False


@dataclasses.dataclass(frozen=True)
class Survey:
    """The processes and the nodes of a server.

    `expected` is the number of processes that should be registered,
    `members` are the pids of those that run.  `problem` is why ZooKeeper
    could not be asked, '' when it was.  `deregistered` are the pids of
    members that an operator has taken out of ZooKeeper; `troubles` are those
    that have left by themselves, ``hung`` or ``unhealthy``, by pid.
    `forgotten` is what was done about the sessions of processes that have
    died.

    A server that is not zc.zkzopeserver does not register (`registers`):
    instead of nodes, `providers` has the address that its ini names.
    """

    name: str
    expected: int
    process: ServerProcess
    registers: bool = True
    members: tuple[int, ...] = ()
    providers: tuple[ProviderStatus, ...] = ()
    problem: str = ''
    deregistered: tuple[int, ...] = ()
    troubles: Mapping[int, str] = dataclasses.field(default_factory=dict)
    forgotten: Forgotten = dataclasses.field(default_factory=Forgotten)

    def of(self, owner: Owner) -> list[ProviderStatus]:
        """Return the providers of an owner."""
        return [each for each in self.providers if each.owner is owner]

    @property
    def registered(self) -> set[int]:
        """The pids of our processes that have a node."""
        return {each.node.pid for each in self.of(Owner.OURS)
                if each.node.pid is not None}

    @property
    def answering(self) -> set[int]:
        """The pids of our processes of which every node answers."""
        return self.registered - {each.node.pid for each in
                                  self.of(Owner.OURS) if not each.is_well}

    @property
    def unregistered(self) -> list[int]:
        """The pids of our processes that should have a node, and have none."""
        return [pid for pid in self.members if pid not in self.registered]

    @property
    def answered(self) -> dict[str, int]:
        """The names of our nodes that have answered well, with their pids."""
        return {each.node.name: each.node.pid
                for each in self.of(Owner.OURS)
                if each.is_well and each.node.pid is not None}

    @property
    def is_up(self) -> bool:
        """Whether all expected processes are registered and answer."""
        if self.process.pid is None or self.problem:
            return False
        return (self.answering == self.registered
                and (len(self.answering) >= self.expected
                     or not self.registers and not self.providers))


def survey(settings: InstanceSettings, nodes: Iterable[Provider] = (),
           problem: str = '', answered: Mapping[str, int] | None = None
           ) -> Survey:
    """Compare the nodes with the processes of this machine.

    `problem` is why there are no nodes.  A node that stands in `answered`
    (see `Survey.answered`) with the same pid is not asked again.

    NotProvenError when the server runs in another PID namespace, as in a
    container: its nodes then have the pids of that namespace.
    """
    process = find(settings.instance)
    if process.pid is not None and proof.is_elsewhere(process.pid):
        raise NotProvenError(
            f'running, pid {process.pid}, in another PID namespace (a'
            ' container): which nodes are its own cannot be told from here;'
            ' run this where the server runs')
    if settings.options is None:
        nodes = configured_address(settings, process.pid)
    family = family_of(process.pid)
    providers = owners(list(nodes), Machine(family), process,
                       settings.options)
    return Survey(
        settings.instance.name, settings.workers, process,
        settings.options is not None,
        tuple(pid for pid in family
              if is_member(pid, process, providers, settings.workers)),
        tuple(ask(providers, settings, answered or {})), problem)


def configured_address(settings: InstanceSettings,
                       pid: int | None) -> list[Provider]:
    """Return where a server that does not register listens, as a provider.

    It has the pid of the server.  Empty when the server does not run, or its
    ini does not name a port.
    """
    options = settings.server_options
    host = options.get('host', '').strip()
    port = options.get('port', '').strip()
    if pid is None or not port.isdigit() or not int(port):
        return []
    return [Provider(f'{host or "127.0.0.1"}:{port}', {'pid': pid})]


def family_of(pid: int | None) -> list[int]:
    """Return the pids that may have nodes: the server and its children."""
    if pid is None:
        return []
    return [pid, *processes.children(pid)]


def is_member(pid: int, process: ServerProcess,
              providers: Iterable[ProviderStatus], workers: int) -> bool:
    """Return whether a process of the family should have a node.

    A parent of workers has none.  The children of a single process are the
    application's, and have none.
    """
    is_single = workers == 1 or any(
        each.node.pid == process.pid and each.owner is Owner.OURS
        for each in providers)
    return (pid == process.pid) == is_single


class Machine:
    """What this machine says of the processes of a family and of hosts.

    It is asked once for each.  `hosts` are names that are this machine's by
    DNS, too.
    """

    def __init__(self, family: Collection[int],
                 hosts: Collection[str] = ()) -> None:
        self.family = frozenset(family)
        self.hosts = frozenset(hosts)
        self.ports = functools.cache(processes.ports)
        self._is_here = functools.cache(processes.is_here)

    def has(self, host: str) -> bool:
        """Return whether a host is this machine."""
        return host in self.hosts or self._is_here(host)

    def listens(self, pid: int, host: str, port: int) -> bool:
        """Return whether a process listens at an address.

        Of a name, only the port is compared.  True also when this process is
        not allowed to know.
        """
        listening = self.ports(pid)
        return listening is None or any(
            number == port and covers(address, host)
            for address, number in listening)


def covers(listening: str, host: str) -> bool:
    """Return whether a socket at an IP address gets connections to a host.

    True for a host that is no IP address.
    """
    is_ipv6 = ':' in host
    if not is_ipv6 and not host.replace('.', '').isdecimal():
        return True
    if listening == '0.0.0.0':
        return not is_ipv6
    # It may be for IPv6 alone (IPV6_V6ONLY), which cannot be seen from here.
    return listening in ('::', host, f'::ffff:{host}')


def owners(nodes: list[Provider], machine: Machine, process: ServerProcess,
           options: Options | None) -> list[ProviderStatus]:
    """Return the nodes with their owners.

    However many nodes there are, and whatever their names: it takes no more
    than twice LOOK_S.
    """
    names = set()
    for node in nodes:
        address = address_of(node, options)
        if (address and node.pid in machine.family
                and machine.listens(node.pid, *address)
                and not machine.has(address[0])):
            names.add(address[0])
    here = concurrently(processes.resolves_here, sorted(names), AT_ONCE,
                        LOOK_S, lambda name: False)
    machine = Machine(machine.family, [
        name for name, is_here in zip(sorted(names), here, strict=True)
        if is_here])
    found = [owner_of(node, machine, process, options) for node in nodes]
    # Those that seem dead: another process may listen at the address.
    silent = [position for position, owner in enumerate(found)
              if owner in (Owner.DEAD, Owner.ORPHAN)]
    taken = concurrently(
        lambda position: accepts(address_of(nodes[position], options)),
        silent, AT_ONCE, LOOK_S, lambda position: True)
    for position, is_taken in zip(silent, taken, strict=True):
        if is_taken:
            found[position] = Owner.OTHER
    return [ProviderStatus(node, owner)
            for node, owner in zip(nodes, found, strict=True)]


def address_of(node: Provider,
               options: Options | None) -> tuple[str, int] | None:
    """Return where a node's server is; None for a name that is no address.

    The strict grammar for addresses of others has no names with underscores,
    which our own options may have.
    """
    if node.address is None and options is not None:
        host, _, port = node.name.rpartition(':')
        if (host in (options.advertise, options.host)
                or node.name == options.advertise):
            # Its port has the strict form if that of an IP address has it.
            with contextlib.suppress(ValueError):
                return host, zc.zk.parse_server_addr(f'127.0.0.1:{port}')[1]
    return node.address


def owner_of(node: Provider, machine: Machine, process: ServerProcess,
             options: Options | None) -> Owner:
    """Return the owner of a node.

    DEAD and ORPHAN only if nothing accepts connections at its address.
    """
    address = address_of(node, options)
    if address is None or node.pid is None:
        return Owner.OTHER
    if node.pid in machine.family:
        if is_ours(node, machine, options):
            return Owner.OURS
    elif not processes.lives(node.pid) and machine.has(address[0]):
        is_dead = node.pid == process.stale_pid or (
            options is not None and options.port == address[1])
        return Owner.DEAD if is_dead else Owner.ORPHAN
    return Owner.OTHER


def accepts(address: tuple[str, int] | None) -> bool:
    """Return whether something listens at an address of this machine.

    It may be a container that shares the network and not the pids.
    """
    if address is None:
        return False
    try:
        readiness.connect(address, time.monotonic() + CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError):
        return False
    return True


def is_ours(node: Provider, machine: Machine,
            options: Options | None) -> bool:
    """Return whether the node's process listens at the node's address.

    On another machine there may be a process of the same pid, so that the
    address must be this machine's.  It may also be what `advertise` says:
    that may be an address that only clients know.
    """
    address, pid = address_of(node, options), node.pid
    if address is None or pid is None:
        return False
    host, port = address
    advertise = options and options.advertise
    if advertise and advertise in (node.name, host, f'[{host}]'):
        return True
    return machine.has(host) and machine.listens(pid, host, port)


def ask(providers: list[ProviderStatus], settings: InstanceSettings,
        answered: Mapping[str, int]) -> list[ProviderStatus]:
    """Ask our providers over HTTP; return all, ours with their answers."""
    options = settings.options
    ready = options and options.ready
    way = readiness.question(options) if options else readiness.PLAIN

    def ask_one(provider: ProviderStatus) -> ProviderStatus:
        node = provider.node
        address = address_of(node, options)
        if address is None:
            return provider
        if answered.get(node.name) == node.pid:
            return dataclasses.replace(provider, is_well=True)
        answer = readiness.ask(address, ready or '/', ANSWER_S, way)
        return dataclasses.replace(
            provider, answer=answer, is_well=is_well(answer, bool(ready)))

    def unasked(provider: ProviderStatus) -> ProviderStatus:
        return dataclasses.replace(
            provider, answer=f'no answer of all within {ANSWERS_S:g} s')

    ours = [each for each in providers if each.owner is Owner.OURS]
    answers = iter(concurrently(ask_one, ours, AT_ONCE, ANSWERS_S, unasked))
    return [next(answers) if each.owner is Owner.OURS else each
            for each in providers]


def is_well(answer: int | str, has_ready: bool) -> bool:
    """Return whether an answer is as it should be.

    With the option `ready` it has to be 2xx or 3xx, as for the server
    itself; else any response will do.
    """
    return isinstance(answer, int) and (not has_ready or 200 <= answer < 400)


def require_running(instance: Instance) -> tuple[ServerProcess, int]:
    """Return the server's process and its pid; StartError without one."""
    process = find(instance)
    if process.pid is None:
        raise StartError('not running')
    return process, process.pid
