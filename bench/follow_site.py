"""A site for bench/follow.py: ZooKeeper, servers, proxies and clients.

Everything listens on loopback, and is ended with the site. Each server has a
network of its own to ZooKeeper, which can be cut.
"""
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from kazoo.exceptions import KazooException

sys.path.insert(0, str(Path(__file__).parents[1] / 'zc.zk' / 'tests'))

import zc.zk
from follow_clients import STEP_S
from zc.zk.testing.apache import Apache
from zc.zk.testing.apache import obtain
from zc.zk.testing.development import Embedded
from zc.zk.testing.proxy import Proxy as Network
from zc.zk.testing.waiting import wait_for
from zc_zk_support import proxies
from zc_zk_support.following import Follower
from zc_zk_support.proxies import follow_arguments

HERE = Path(__file__).parent
PATH = '/cms/providers'

#: By name; `new-nginx` is that of PyPI, with keepalive_min_timeout.
KINDS = {**proxies.PROXIES, 'new-nginx': proxies.NewNginx}


class Site:
    """A ZooKeeper, and servers that are registered there.

    `ports` has the ports of the servers that run, by their numbers; `made` and
    `gone` the times at which nodes were created and deleted, by port.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack,
                 zookeeper: str = 'embedded', wait: float = 1.) -> None:
        self.folder = folder
        self.stack = stack
        self._wait = wait
        where = folder / 'zookeeper'
        self.zookeeper = (Embedded(where) if zookeeper == 'embedded'
                          else Apache(where, obtain()))
        self.zookeeper.start()
        stack.callback(self.zookeeper.kill)
        self.zk = zc.zk.ZooKeeper(self.zookeeper.connection_string, 40.)
        stack.callback(self.zk.close)
        self.zk.client.ensure_path(PATH)
        with (folder / 'servers.log').open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / 'follow_servers.py')],
                env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True)
        stack.callback(self._end_servers)
        self.networks: dict[int, Network] = {}
        self.ports: dict[int, str] = {}
        self.made: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self._next = 0
        self._seen = self.zk.children(PATH)
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._seen(self._note)

    def _note(self, children: Iterable[str] = ()) -> None:
        now = time.time()
        with self._lock:
            new = set(children)
            for name in self._names - new:
                self.gone[name.rpartition(':')[2]] = now
            for name in new - self._names:
                with contextlib.suppress(KazooException):
                    stat = self.zk.client.get(f'{PATH}/{name}')[1]
                    self.made[name.rpartition(':')[2]] = stat.ctime / 1000
            self._names = new

    def start_servers(self, count: int) -> list[int]:
        """Start servers; return their numbers, when they are registered."""
        numbers = list(range(self._next, self._next + count))
        self._next += count
        for number in numbers:
            network = self.networks[number] = Network(self.zookeeper.address)
            self._tell(f'start {number} {network.connection_string} '
                       f'{self._wait}')
        for _ in numbers:
            _, number, address = self._answer('started')
            self.ports[int(number)] = address.rpartition(':')[2]
        return numbers

    def stop_servers(self, numbers: list[int]) -> None:
        """Stop servers properly, all at once, and wait for their ends."""
        for number in numbers:
            self._tell(f'stop {number}')
        for _ in numbers:
            self.ports.pop(int(self._answer('stopped')[1]))

    def expire(self) -> None:
        """End all sessions of servers at once; they register again."""
        host, port = self.zookeeper.address
        self._tell(f'expire {host} {port}')
        self._answer('expired')

    def wait_nodes(self, count: int) -> None:
        """Wait until ZooKeeper has `count` servers."""
        def has() -> bool:
            # Also while it is away, and its answers are errors.
            with contextlib.suppress(KazooException):
                return len(self.zk.get_children(PATH)) == count
            return False

        wait_for(has, 60)

    def wait_registered(self) -> None:
        """Until all servers that run have their nodes."""
        self.wait_nodes(len(self.ports))

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + '\n')
        self._process.stdin.flush()

    def _answer(self, verb: str) -> list[str]:
        assert self._process.stdout
        words = self._process.stdout.readline().split()
        assert words and words[0] == verb, words
        return words

    def _end_servers(self) -> None:
        self._process.kill()
        self._process.communicate()
        for network in self.networks.values():
            network.close()


class Front:
    """A proxy, its follower, and what its clients have seen."""

    def __init__(self, site: Site, name: str, *arguments: str) -> None:
        self.name = name
        self.format = name.removeprefix('new-')
        self._site = site
        self._folder = site.folder / name
        self._folder.mkdir()
        self.proxy = KINDS[name](self._folder / 'proxy')
        self.proxy.configure()
        where = site.zookeeper.connection_string
        if self.format != 'caddy':  # it is told when it runs
            first = self._folder / 'first'  # for a log of its own
            first.mkdir()
            once = Follower(first, where, PATH, '--format',
                            self.format, '-o', str(self.proxy.file),
                            '--check', '', '--reload', '', '--once')
            assert once.process.wait(60) == 0, once.log()
            once.kill()
        self.proxy.start()
        site.stack.callback(self.proxy.stop)
        self._arguments = [where, PATH,
                           *follow_arguments(self.format, self.proxy),
                           '--session-timeout', '20', *arguments]
        self.start_follower()
        site.stack.callback(lambda: self.follower.kill())

    def start_follower(self) -> None:
        """Start the follower."""
        self.follower = Follower(self._folder, *self._arguments)

    def wait_ready(self) -> None:
        """Until all servers answer through the proxy."""
        count = len(self._site.ports)
        self.follower.wait_for_log(f'INFO cms: {count} server')
        wait_for(lambda: len(self.proxy.ports(5 * count)) == count, 60,
                 self.log)

    def log(self) -> str:
        """Return what the follower and the proxy have said."""
        log = self.follower.log() + '\n' + self.proxy.log()
        with contextlib.suppress(FileNotFoundError):
            log += (self.proxy.folder / 'error').read_text()
        return log


class Traffic:
    """Clients of a front, which send while the block runs.

    Afterwards `total` and `failures` have the numbers; `first` and `last` the
    time of the first answer of a port, and of the last request that it
    answered.
    """

    def __init__(self, front: Front, mode: str, rate: float) -> None:
        self.front = front
        self.mode = mode
        self._rate = rate
        self.total = 0
        self.failures: list[tuple[float, str]] = []
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.steps: dict[str, list[int]] = {}

    def __enter__(self) -> Traffic:
        self.began = time.time()
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / 'follow_clients.py'),
             str(self.front.proxy.port), self.mode, str(self._rate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._process.stdout.readline()
        return self

    def count(self) -> int:
        """Return the number of requests so far."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write('\n')
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(self, *exception: object) -> None:
        text, _ = self._process.communicate()
        for name, value in json.loads(text).items():
            setattr(self, name, value)

    def at_work(self, begin: float, end: float) -> set[str]:
        """Return the ports that have answered from one time to another."""
        return {port for port, steps in self.steps.items()
                if any(begin <= (step + 1) * STEP_S and step * STEP_S < end
                       for step in steps)}

    def all_at_work(self, ports: set[str], since: float) -> float | None:
        """Return the seconds until all ports have answered; None if not.

        Exact to a step of STEP_S seconds.
        """
        times = [min((step * STEP_S for step in self.steps.get(port, ())
                      if step * STEP_S >= since), default=None)
                 for port in ports]
        if None in times:
            return None
        return max(times, default=since) - since
