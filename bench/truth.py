"""How long ZooKeeper lies about servers after a fault, and what that costs.

Usage: python bench/truth.py [FAULT ...] [--tries 5] [--list]

Four workers of one parent (or one server) register in a real ensemble of three
Apache ZooKeepers, with a session_timeout of 10 s.  Each try starts them anew
and does one fault.  A line for each fault, the median of its tries:

lie       seconds for which nodes stood in ZooKeeper whose servers did not
          answer, added up over the nodes
missing   seconds for which fewer servers than there should be were registered
          and answered
failed    requests that failed, of how many: of clients that try once, and of
          clients that try another server once more

An observer asks each address that it sees in ZooKeeper, again and again, and
has the list by a watch.  20 clients send 100 requests a second, half of them
with a second try.  An empty list is a failed request.
"""
from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import logging
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.ensemble import Ensemble
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes

PATH = '/fooservice/providers'
MOODY = 'call:zkzopeserver_support.moody:make_moody'
WORKERS = 4
CLIENTS = 20
RATE = 100

# A server that has not answered within this time does not answer, to the
# observer and to a client, in seconds.
PROBE_S = 0.25
CLIENT_S = 1.0

# All is well again when it has been for this time, and has to be within that.
WELL_S = 2.0
LIMIT_S = 90.0


def get(address: str, timeout: float) -> bool:
    """Return whether a server answers 200."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request('GET', '/', headers={'Connection': 'close'})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Observer:
    """Sees the list, and asks each server in it."""

    def __init__(self, client, expected: int) -> None:
        self.names: list[str] = []
        self.lie_s = self.missing_s = 0.0
        self.well_since: float | None = None
        self._expected = expected
        self._answers: dict[str, bool] = {}
        self._is_over = threading.Event()
        self._counts = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._watch = client.ChildrenWatch(PATH)(self._see)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _see(self, names: list[str]) -> bool:
        self.names = names
        return not self._is_over.is_set()

    def begin(self) -> None:
        """Count from now on."""
        self._counts.set()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._is_over.wait(0.02):
            names = list(self.names)
            for name in names:
                if name not in self._threads:
                    self._answers[name] = True
                    thread = threading.Thread(
                        target=self._ask, args=(name,), daemon=True)
                    self._threads[name] = thread
                    thread.start()
            now = time.monotonic()
            step, last = now - last, now
            good = sum(self._answers[name] for name in names)
            if self._counts.is_set():
                self.lie_s += step * (len(names) - good)
                self.missing_s += step * (good < self._expected)
            if good == len(names) == self._expected:
                self.well_since = self.well_since or now
            else:
                self.well_since = None

    def _ask(self, name: str) -> None:
        while not self._is_over.is_set():
            self._answers[name] = get(name, PROBE_S)
            if name not in self.names:
                self._is_over.wait(0.2)
            self._is_over.wait(0.02)

    def wait_well(self) -> None:
        """Wait until all servers were there and answered for WELL_S."""
        self.well_since = None
        wait_for(lambda: self.well_since is not None
                 and time.monotonic() - self.well_since > WELL_S, LIMIT_S,
                 lambda: f'all to be well: {self.names} {self._answers}')

    def close(self) -> None:
        """End the threads."""
        self._is_over.set()
        self._thread.join()


class Clients:
    """Clients that take a server from the list for each request."""

    def __init__(self, observer: Observer) -> None:
        self.sent = {1: 0, 2: 0}
        self.failed = {1: 0, 2: 0}
        self._observer = observer
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(
            target=self._run, args=(number % 2 + 1,), daemon=True)
            for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, tries: int) -> None:
        while not self._is_over.wait(random.uniform(0.5, 1.5)
                                     * CLIENTS / RATE):
            is_answered = self._is_answered(tries)
            with self._lock:
                self.sent[tries] += 1
                self.failed[tries] += not is_answered

    def _is_answered(self, tries: int) -> bool:
        tried: set[str] = set()
        for _ in range(tries):
            # Another server, where there is one.
            names = (set(self._observer.names) - tried
                     or set(self._observer.names))
            if names:
                name = random.choice(sorted(names))
                if get(name, CLIENT_S):
                    return True
                tried.add(name)
        return False

    def close(self) -> None:
        """End the threads."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()


class Servers:
    """The processes of one try, to which faults are done."""

    def __init__(self, folder: Path, ensemble: Ensemble, observed,
                 stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.ensemble = ensemble
        self.tree = observed
        self.stack = stack
        self.where = ensemble.connection_string
        self.ini = folder / 'web.ini'
        self.proxies: list[Proxy] = []

    def start(self, workers: int, **options: str) -> None:
        """Write the ini, and start the first process."""
        gates = self.folder / 'gates'
        gates.mkdir()
        self.ini = processes.write_ini(
            self.folder, self.where, f'{MOODY}\nfolder = {gates}', path=PATH,
            session_timeout='10000', deregister_wait='1', threads='2',
            workers=str(workers), **options)
        self.start_again()

    def start_again(self) -> None:
        """Start another process of the same ini."""
        self.process = self.stack.enter_context(processes.started(self.ini))

    def workers(self) -> list[int]:
        """Return the pids of the workers that are registered."""
        return [json.loads(self.tree.get(f'{PATH}/{name}')[0])['pid']
                for name in self.tree.get_children(PATH)]

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        """Send processes a signal."""
        for pid in pids:
            os.kill(pid, number)


def worker_killed(servers: Servers) -> None:
    """Kill one of four workers (SIGKILL, as out of memory does)."""
    servers.kill(servers.workers()[0])


def worker_crashed(servers: Servers) -> None:
    """Crash one of four workers (SIGSEGV)."""
    servers.kill(servers.workers()[0], number=signal.SIGSEGV)


def single_killed(servers: Servers) -> None:
    """Kill a single server; its supervisor starts it after 1 s."""
    servers.kill(servers.process.pid)
    servers.process.popen.wait()
    time.sleep(1)
    servers.start_again()


def single_killed_stop_post(servers: Servers) -> None:
    """Do the same with ``forget`` at once, as ExecStopPost does."""
    servers.kill(servers.process.pid)
    servers.process.popen.wait()
    with processes.started(servers.ini, 'forget') as forget:
        forget.ended()
        time.sleep(1)
    servers.start_again()


def container_killed(servers: Servers) -> None:
    """Kill parent and workers at once; start anew after 1 s."""
    parent = servers.process.pid
    family = [child.pid for child in psutil.Process(parent).children()]
    servers.kill(parent, *family)
    time.sleep(1)
    servers.start_again()


def hang(servers: Servers) -> None:
    """Have all threads of one of four workers hang for 20 s."""
    name = servers.tree.get_children(PATH)[0]
    for _ in range(3):
        threading.Thread(target=get_hung, args=(name,), daemon=True).start()
    time.sleep(20)
    (servers.folder / 'gates' / 'go').touch()


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
        servers.kill(pid, number=signal.SIGCONT)

    fault.__doc__ = f'SIGSTOP one of four workers for {seconds:g} s.'
    return fault


def parent_killed(servers: Servers) -> None:
    """Kill the parent alone; start another after 1 s."""
    servers.kill(servers.process.pid)
    time.sleep(1)
    servers.start_again()


def cut_off(servers: Servers) -> None:
    """Cut all servers off from ZooKeeper for 20 s."""
    for proxy in servers.proxies:
        proxy.stall()
    time.sleep(20)
    for proxy in servers.proxies:
        proxy.heal()


def leader_killed(servers: Servers) -> None:
    """Kill the leader of the ensemble."""
    servers.ensemble.kill_leader()
    time.sleep(5)


def roll(servers: Servers) -> None:
    """Replace all workers (SIGHUP)."""
    servers.process.signal(signal.SIGHUP)
    wait_for(lambda: 'rolling restart done' in servers.process.output, 120)


HUNG = {'hung_after': '3'}

# Name -> (fault, workers, options).
FAULTS: dict[str, tuple[Callable[[Servers], None], int, dict[str, str]]] = {
    'worker-killed': (worker_killed, WORKERS, {}),
    'worker-crashed': (worker_crashed, WORKERS, {}),
    'single-killed': (single_killed, 1, {}),
    'single-killed-stop-post': (single_killed_stop_post, 1, {}),
    'container-killed': (container_killed, WORKERS, {}),
    'hang': (hang, WORKERS, HUNG),
    'stopped-5': (stopped_for(5), WORKERS, {}),
    'stopped-15': (stopped_for(15), WORKERS, {}),
    'parent-killed': (parent_killed, WORKERS, {}),
    'cut-20': (cut_off, WORKERS, {}),
    'leader-killed': (leader_killed, WORKERS, {}),
    'roll': (roll, WORKERS, {}),
}


def measure(name: str, ensemble: Ensemble) -> tuple[float, ...]:
    """Do a fault once; return lie, missing, and the requests of both kinds.

    These are sent and failed, of clients with one try and with two.
    """
    fault, workers, options = FAULTS[name]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = start_client(ensemble.connection_string, timeout=30.)
        stack.callback(stop_client, client)
        client.ensure_path(PATH)
        wait_for(lambda: not client.get_children(PATH), LIMIT_S)
        servers = Servers(folder, ensemble, client, stack)
        if fault is cut_off:
            servers.proxies = [stack.enter_context(Proxy(server.hosts))
                               for server in ensemble.servers]
            servers.where = ','.join(
                f'{host}:{port}' for host, port in (
                    proxy.address for proxy in servers.proxies))
        servers.start(workers, **options)
        observer = Observer(client, workers)
        stack.callback(observer.close)
        observer.wait_well()
        clients = Clients(observer)
        stack.callback(clients.close)
        observer.begin()
        fault(servers)
        observer.wait_well()
        clients.close()
        # WELL_S of the requests were sent after the end.
        found = (observer.lie_s, observer.missing_s, clients.failed[1],
                 clients.sent[1], clients.failed[2], clients.sent[2])
        servers.process.stopped()
        ensemble.heal()
    return found


def main() -> int:
    """Measure the faults that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('faults', nargs='*', metavar='FAULT')
    parser.add_argument('--tries', type=int, default=5)
    parser.add_argument('--list', action='store_true')
    arguments = parser.parse_args()
    if unknown := set(arguments.faults) - set(FAULTS):
        parser.error(f'unknown: {", ".join(unknown)}')
    if arguments.list:
        for name, (fault, *_) in FAULTS.items():
            print(f'{name:24} {(fault.__doc__ or "").splitlines()[0]}')
        return 0
    # Its connection is cut again and again, as it is meant to be.
    logging.getLogger('kazoo').setLevel(logging.CRITICAL)
    socket.setdefaulttimeout(30)
    print('fault                    lie, s  missing, s  failed: once, twice')
    with tempfile.TemporaryDirectory() as folder, Ensemble(folder) as ensemble:
        for name in arguments.faults or FAULTS:
            tries = [measure(name, ensemble) for _ in range(arguments.tries)]
            lie_s, missing_s = (statistics.median(each[column]
                                                  for each in tries)
                                for column in (0, 1))
            once, sent, twice, sent_twice = (
                sum(int(each[column]) for each in tries)
                for column in (2, 3, 4, 5))
            print(f'{name:24} {lie_s:6.2f} {missing_s:11.2f}'
                  f'  {once} of {sent:,}, {twice} of {sent_twice:,}',
                  flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
