"""What ZooKeeper says of a server, beside what is true on this machine."""
from __future__ import annotations

import concurrent.futures
import dataclasses
import enum
from collections.abc import Iterable
from collections.abc import Mapping

from zc.zkzopeserver import readiness
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.settings import InstanceSettings
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.options import Options

# Seconds that a server gets for an answer, and how many are asked at once.
ANSWER_S = 5.0
AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class ServerProcess:
    """The server's process: the one that serves, or the parent of several.

    `pid` is None when there is none; `stale` is the one that died without
    removing its pid file; `manager` runs it in the background.
    """

    pid: int | None = None
    stale: int | None = None
    manager: zdaemon.Manager | None = None

    @property
    def is_dead(self) -> bool:
        """Whether it is not there, and should be."""
        return self.pid is None and bool(self.stale or self.manager)


def find(instance: Instance) -> ServerProcess:
    """The server's process, by the files beside it."""
    try:
        manager = zdaemon.find(instance.socket)
    except zdaemon.NotAllowed:
        # The pid file is for everybody.
        manager = None
    said = pidfile.read(instance.pid_file)
    if said and said.is_alive:
        return ServerProcess(said.pid, manager=manager)
    pid = manager.server if manager else 0
    return ServerProcess(pid or None, said and said.pid, manager)


class Owner(enum.Enum):
    """Whose a node is: a process of ours that lives, or one that has died;
    one that has died on this machine, ours or not; or somebody else's."""

    OURS = 'ours'
    DEAD = 'dead'
    ORPHAN = 'orphan'
    OTHER = 'other'


@dataclasses.dataclass(frozen=True)
class ProviderStatus:
    """A node, whose it is, and what its address answers.

    `answer` is the status of an HTTP response, or why there is none; None
    when it was not asked.  `is_well` is whether that is what is wanted.
    """

    node: Provider
    kind: Owner
    answer: int | str | None = None
    is_well: bool = False


@dataclasses.dataclass(frozen=True)
class Survey:
    """The processes and the nodes of a server.

    `members` are the processes that should each have a node; `problem` is
    why ZooKeeper could not be asked.  A server that is not zc.zkzopeserver
    does not register: what stands for its node is where it listens.
    """

    name: str
    expected: int
    process: ServerProcess
    registers: bool = True
    members: tuple[int, ...] = ()
    providers: tuple[ProviderStatus, ...] = ()
    problem: str = ''

    def of(self, kind: Owner) -> list[ProviderStatus]:
        """The nodes of a kind."""
        return [each for each in self.providers if each.kind is kind]

    @property
    def registered(self) -> set[int]:
        """The processes of ours that have a node."""
        return {each.node.pid for each in self.of(Owner.OURS)}

    @property
    def answering(self) -> set[int]:
        """Those of them of which every node answers."""
        return self.registered - {each.node.pid for each in
                                  self.of(Owner.OURS) if not each.is_well}

    @property
    def unregistered(self) -> list[int]:
        """The processes of ours that have no node."""
        return [pid for pid in self.members if pid not in self.registered]

    @property
    def is_up(self) -> bool:
        """Whether all is as it should be."""
        if self.process.pid is None or self.problem:
            return False
        return (self.answering == self.registered
                and (len(self.answering) >= self.expected
                     or not self.registers and not self.providers))


def survey(settings: InstanceSettings, nodes: Iterable[Provider] = (),
           problem: str = '', known: Mapping[str, int] | None = None
           ) -> Survey:
    """Compare the nodes with the processes of this machine.

    `problem` is why there are no nodes.  Those whose name is in `known` with
    their pid are not asked again whether they answer.
    """
    process = find(settings.instance)
    if settings.options is None:
        nodes = stand_ins(settings, process.pid)
    members = family_of(process.pid)
    providers = [ProviderStatus(node, owner_of(node, set(members), process,
                                        settings.options))
                 for node in nodes]
    return Survey(
        settings.instance.name, settings.workers, process,
        settings.options is not None,
        tuple(pid for pid in members
              if is_member(pid, process, providers, settings.workers)),
        tuple(asked(providers, settings, known or {})), problem)


def stand_ins(settings: InstanceSettings, pid: int | None) -> list[Provider]:
    """Where a server listens that is not ours, as far as its ini says."""
    given = settings.ini.options
    host, port = given.get('host', '').strip(), given.get('port', '').strip()
    if pid is None or not port.isdigit() or not int(port):
        return []
    return [Provider(f'{host or "127.0.0.1"}:{port}', {'pid': pid})]


def family_of(pid: int | None) -> list[int]:
    """The processes that may have nodes: the server's, and its children."""
    if pid is None:
        return []
    return [pid, *processes.children(pid)]


def is_member(pid: int, process: ServerProcess,
              providers: Iterable[ProviderStatus], workers: int) -> bool:
    """Whether a process should have a node.

    A parent has none, and the children of a single process are the
    application's.
    """
    single = workers == 1 or any(
        each.node.pid == process.pid and each.kind is Owner.OURS
        for each in providers)
    return (pid == process.pid) == single


def owner_of(node: Provider, family: set[int], process: ServerProcess,
            options: Options | None) -> Owner:
    """Whose a node is."""
    if node.address is None or node.pid is None:
        return Owner.OTHER
    if node.pid in family:
        if is_ours(node, options):
            return Owner.OURS
    elif is_gone(node):
        is_dead = node.pid == process.stale or (
            options and options.port == node.address[1])
        return Owner.DEAD if is_dead else Owner.ORPHAN
    return Owner.OTHER


def is_ours(node: Provider, options: Options | None) -> bool:
    """Whether the address is this machine's, and the process listens there.

    Another machine may have a process of the same number.  What is
    advertised may be an address that only others know.
    """
    host, port = node.address
    advertise = options and options.advertise
    if advertise and advertise in (node.name, host, f'[{host}]'):
        return True
    if not processes.is_here(host, ask_dns=True):
        return False
    listening = processes.ports(node.pid)
    return (listening is None
            or any(number == port for _, number in listening))


def is_gone(node: Provider) -> bool:
    """Whether its process was one of this machine, and has ended."""
    return (not processes.lives(node.pid)
            and processes.is_here(node.address[0]))


def asked(providers: list[ProviderStatus], settings: InstanceSettings,
          known: Mapping[str, int]) -> list[ProviderStatus]:
    """The providers, those of ours with their answers."""
    ready = settings.options and settings.options.ready

    def ask(provider: ProviderStatus) -> ProviderStatus:
        node = provider.node
        if provider.kind is not Owner.OURS:
            return provider
        if known.get(node.name) == node.pid:
            return dataclasses.replace(provider, is_well=True)
        answer = readiness.ask(node.address, ready or '/', ANSWER_S)
        return dataclasses.replace(
            provider, answer=answer, is_well=is_well(answer, bool(ready)))

    if not providers:
        return []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, providers))


def is_well(answer: int | str, has_ready: bool) -> bool:
    """Whether an answer is what is wanted: any, or a good one of `ready`."""
    return isinstance(answer, int) and (not has_ready or 200 <= answer < 400)


def require_running(instance: Instance) -> ServerProcess:
    """The server's process; StartError when there is none."""
    process = find(instance)
    if process.pid is None:
        raise StartError('not running')
    return process
