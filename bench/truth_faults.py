"""The faults of bench/truth.py, and the servers that they are done to."""
from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import psutil
from kazoo.client import KazooClient
from truth_clients import PATH
from zc.zk.testing.ensemble import Ensemble
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.moody import MOODY

from zc.zkzopeserver.sessionkeys import SessionKey

WORKERS = 4
OTHERS = 2


class Servers:
    """The processes of one try, to which faults are done."""

    def __init__(self, folder: Path, ensemble: Ensemble, tree: KazooClient,
                 stack: contextlib.ExitStack, **options: str) -> None:
        self.folder = folder
        self.ensemble = ensemble
        self.tree = tree
        self.stack = stack
        self.options = options
        self.where = ensemble.connection_string
        self.proxies: list[Proxy] = []
        self._started: list[processes.Process] = []
        self.gates = folder / 'gates'
        self.gates.mkdir()
        self.ini = folder / 'web.ini'
        #: When the fault was done, to tell the requests that were on the way.
        self.hit_at = 0.0

    def place_proxies(self) -> None:
        """Have all servers reach ZooKeeper through proxies."""
        self.proxies = [self.stack.enter_context(Proxy(server.hosts))
                        for server in self.ensemble.servers]
        self.where = ','.join(proxy.connection_string
                              for proxy in self.proxies)

    def write(self, folder: Path, workers: int) -> Path:
        """Write an ini; return its path."""
        folder.mkdir(exist_ok=True)
        return processes.write_ini(
            folder, self.where, f'{MOODY}\nfolder = {self.gates}', path=PATH,
            deregister_wait='1', threads='2', workers=str(workers),
            **self.options)

    def start(self, workers: int) -> None:
        """Write the ini, and start the first process."""
        self.ini = self.write(self.folder, workers)
        self.start_again()

    def start_again(self) -> None:
        """Start another process of the same ini."""
        self.process = self._begin(self.ini)

    def _begin(self, ini: Path) -> processes.Process:
        self._started.append(
            self.stack.enter_context(processes.started(ini)))
        return self._started[-1]

    def outputs(self) -> list[str]:
        """Return what each process and its workers have written."""
        return [process.output for process in self._started]

    def start_others(self) -> None:
        """Start more servers of the same application."""
        self.others = self._begin(self.write(self.folder / 'others', OTHERS))

    def workers(self) -> list[int]:
        """Return the pids of the workers that are registered."""
        return [json.loads(self.tree.get(f'{PATH}/{name}')[0])['pid']
                for name in self.tree.get_children(PATH)]

    def keys(self) -> list[SessionKey]:
        """Return the keys of the sessions of all workers."""
        slots = self.ini.with_suffix('.session').read_bytes()
        return [SessionKey.decode(slot) for slot in
                filter(None, (slots[start:start + 4095].rstrip(b'\0')
                              for start in range(0, len(slots), 4096)))]

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        """Send processes a signal."""
        self.hit_at = time.monotonic()
        for pid in pids:
            os.kill(pid, number)


def worker_killed(servers: Servers) -> None:
    """Kill a worker, as out of memory does."""
    servers.kill(servers.workers()[0])


def worker_crashed(servers: Servers) -> None:
    """Crash a worker."""
    servers.kill(servers.workers()[0], number=signal.SIGSEGV)


def single_killed(servers: Servers) -> None:
    """Kill a single server, and start it after a second."""
    servers.kill(servers.process.pid)
    servers.process.popen.wait()
    time.sleep(1)
    servers.start_again()


def single_killed_stop_post(servers: Servers) -> None:
    """Do the same, and call ``forget`` at once."""
    servers.kill(servers.process.pid)
    servers.process.popen.wait()
    with processes.started(servers.ini, 'forget') as forget:
        forget.ended()
        time.sleep(1)
    servers.start_again()


def container_killed(servers: Servers) -> None:
    """Kill parent and workers, and start them after a second."""
    parent = servers.process.pid
    family = [child.pid for child in psutil.Process(parent).children()]
    servers.kill(parent, *family)
    time.sleep(1)
    servers.start_again()


def hang(servers: Servers) -> None:
    """Have all threads of a worker hang for 10 s."""
    name = servers.tree.get_children(PATH)[0]
    servers.hit_at = time.monotonic()
    for _ in range(3):
        threading.Thread(target=get_hung, args=(name,), daemon=True).start()
    time.sleep(10)
    (servers.gates / 'go').touch()


def get_hung(name: str) -> None:
    """Send a request that hangs."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(name, timeout=60)
        connection.request('GET', '/hang')
        connection.getresponse()


def stopped_for(seconds: float) -> Callable[[Servers], None]:
    """Return the fault of a worker that stands still for a time."""
    def fault(servers: Servers) -> None:
        pid = servers.workers()[0]
        servers.kill(pid, number=signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
    return fault


def parent_killed(servers: Servers) -> None:
    """Kill the parent, and start another after a second."""
    servers.kill(servers.process.pid)
    time.sleep(1)
    servers.start_again()
    wait_for(lambda: 'took over' in servers.process.output
             and ', 0 are left' in servers.process.output, 60,
             lambda: servers.process.output)


def cut_for(seconds: float) -> Callable[[Servers], None]:
    """Return the fault of a network that is cut for a time."""
    def fault(servers: Servers) -> None:
        servers.hit_at = time.monotonic()
        for proxy in servers.proxies:
            proxy.stall()
        time.sleep(seconds)
        for proxy in servers.proxies:
            proxy.heal()
    return fault


def leader_killed(servers: Servers) -> None:
    """Kill the leader, and start it after 5 s."""
    servers.hit_at = time.monotonic()
    servers.ensemble.kill_leader()
    time.sleep(5)
    servers.ensemble.heal()


def leader_paused(servers: Servers) -> None:
    """Pause the leader for 15 s."""
    servers.hit_at = time.monotonic()
    leader = servers.ensemble.pause_leader()
    time.sleep(15)
    leader.resume()


def ensemble_restarted(servers: Servers) -> None:
    """Restart the ensemble."""
    servers.hit_at = time.monotonic()
    servers.ensemble.restart()


def expired(servers: Servers) -> None:
    """Expire all sessions at once."""
    keys = servers.keys()
    servers.hit_at = time.monotonic()
    threads = [threading.Thread(target=key.end) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def roll(servers: Servers) -> None:
    """Replace all workers, one by one."""
    servers.hit_at = time.monotonic()
    servers.process.signal(signal.SIGHUP)
    wait_for(lambda: 'rolling restart done' in servers.process.output, 120)


def others_stop(servers: Servers) -> None:
    """Stop another service."""
    servers.hit_at = time.monotonic()
    servers.others.stopped()


def others_start(servers: Servers) -> None:
    """Start another service."""
    servers.hit_at = time.monotonic()
    servers.start_others()


@dataclass(frozen=True)
class Fault:
    """A fault, and what it is done to.

    `text` says what it is, for people. There are `others` servers with another
    parent before, and `others_after` in the end. `options` are those of the
    server section. With `is_cut` the servers reach ZooKeeper through proxies.
    """

    text: str
    do: Callable[[Servers], None]
    workers: int = WORKERS
    options: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False
    others: int = 0
    others_after: int = 0


FAULTS = {
    'worker-killed': Fault(
        'a worker killed (SIGKILL, out of memory)', worker_killed),
    'worker-crashed': Fault('a worker crashed (SIGSEGV)', worker_crashed),
    'single-killed': Fault(
        'a single server beside two others killed, up after 1 s',
        single_killed, 1, others=OTHERS, others_after=OTHERS),
    'single-killed-stop-post': Fault(
        'the same, ``forget`` at once (ExecStopPost)',
        single_killed_stop_post, 1, others=OTHERS, others_after=OTHERS),
    'container-killed': Fault(
        'parent and workers killed, up after 1 s', container_killed),
    'hang': Fault(
        'all threads of a worker hang for 10 s, ``hung_after = 3``',
        hang, options={'hung_after': '3'}),
    'stopped-5': Fault(
        'a worker stands still for 5 s (SIGSTOP)', stopped_for(5)),
    'stopped-15': Fault(
        'a worker stands still for 15 s (SIGSTOP)', stopped_for(15)),
    'parent-killed': Fault(
        'the parent killed, another after 1 s', parent_killed),
    'cut-5': Fault(
        'all servers cut off from ZooKeeper for 5 s',
        cut_for(5), is_cut=True),
    'cut-20': Fault(
        'all servers cut off from ZooKeeper for 20 s',
        cut_for(20), is_cut=True),
    'leader-killed': Fault(
        'the leader of ZooKeeper killed, up after 5 s', leader_killed),
    'leader-paused': Fault(
        'the leader of ZooKeeper paused for 15 s', leader_paused),
    'ensemble-restarted': Fault(
        'all three of ZooKeeper restarted', ensemble_restarted),
    'expired': Fault('the sessions of all servers expire at once', expired),
    'roll': Fault('rolling restart', roll),
    'stop': Fault(
        'another service with two workers stops',
        others_stop, others=OTHERS),
    'start': Fault(
        'another service with two workers starts',
        others_start, others_after=OTHERS),
}
