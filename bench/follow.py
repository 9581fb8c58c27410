"""Requests that fail while servers come, go, and are cut off from ZooKeeper.

Usage: bin/py bench/follow.py [SCENARIO...] [--proxy haproxy|nginx|new-nginx|
           envoy|traefik|caddy] [--zookeeper embedded|apache] [--servers 4]
           [--mode close|keep] [--rounds 10] [--gap 0.3] [--wait 1]

turns      rounds in which a server is started, and another stopped properly.
partition  all servers lose ZooKeeper, `--gap` seconds apart, for 10 s, which
           is 2.5 session timeouts. They go on serving.
most       three of four servers are stopped properly at once.
expiry     all sessions expire at once.
restart    ZooKeeper is restarted.
away       ZooKeeper is away for 12 s, three session timeouts.

zookeeper_follow keeps the list of a real proxy, whose own retries are off;
eight clients in another process repeat nothing. deregister_wait is `--wait`,
by default 1 s. A line for each scenario: failed requests of how many, and how
many servers were at work in the end, and at least from 6 s on.
"""
import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'zc.zk' / 'tests'))

import zc.zk
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
CLIENTS = 8
KINDS = {**proxies.PROXIES, 'new-nginx': proxies.NewNginx}


class Site:
    """A ZooKeeper, servers, a follower and a proxy."""

    def __init__(self, options: argparse.Namespace, folder: Path,
                 stack: contextlib.ExitStack) -> None:
        self.options = options
        self.folder = folder
        self.stack = stack
        server = folder / 'zookeeper'
        self.zookeeper = (Embedded(server) if options.zookeeper == 'embedded'
                          else Apache(server, obtain()))
        self.zookeeper.start()
        stack.callback(self.zookeeper.kill)
        self.zk = zc.zk.ZooKeeper(self.zookeeper.connection_string, 20.)
        stack.callback(self.zk.close)
        self.zk.client.ensure_path(PATH)
        self.servers = subprocess.Popen(
            [sys.executable, str(HERE / 'follow_servers.py')],
            env={'PYTHONPATH': ':'.join(sys.path), 'PATH': '/usr/bin:/bin'},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(self.servers.wait)
        stack.callback(self.servers.kill)
        self.networks: dict[int, Network] = {}
        self.ports: dict[int, str] = {}
        self.next = 0

    def start_server(self) -> int:
        """Start a server, and return its number once it is registered."""
        number = self.next
        self.next += 1
        network = self.networks[number] = Network(self.zookeeper.address)
        self.stack.callback(network.close)
        self.tell(f'start {number} {network.connection_string} '
                  f'{self.options.wait}')
        words = self.answer('started')
        self.ports[number] = words[2].rpartition(':')[2]
        return number

    def stop_servers(self, numbers: list[int]) -> None:
        """Stop servers properly, all at once, and wait for their ends."""
        for number in numbers:
            self.tell(f'stop {number}')
        for _ in numbers:
            self.ports.pop(int(self.answer('stopped')[1]))

    def tell(self, line: str) -> None:
        """Write a line to the process of the servers."""
        assert self.servers.stdin
        self.servers.stdin.write(line + '\n')
        self.servers.stdin.flush()

    def answer(self, verb: str) -> list[str]:
        """Return the words of its next line."""
        assert self.servers.stdout
        words = self.servers.stdout.readline().split()
        assert words and words[0] == verb, words
        return words

    def names(self) -> list[str]:
        """Return what ZooKeeper has."""
        return self.zk.get_children(PATH)


def turns(site: Site) -> None:
    """Start a server, and stop the oldest one properly, by turns."""
    for _ in range(site.options.rounds):
        site.start_server()
        time.sleep(.6)
        site.stop_servers([min(site.ports)])


def partition(site: Site) -> None:
    """Cut all servers off from ZooKeeper, one after the other."""
    for number in site.ports:
        site.networks[number].stall()
        time.sleep(site.options.gap)
    wait_for(lambda: not site.names(), 30)
    time.sleep(6)
    for number in site.ports:
        site.networks[number].heal()
        site.networks[number].reset()
        time.sleep(site.options.gap)
    wait_for(lambda: len(site.names()) == len(site.ports), 60)
    time.sleep(5)


def most(site: Site) -> None:
    """Stop three quarters of the servers at once."""
    site.stop_servers(sorted(site.ports)[:len(site.ports) * 3 // 4])
    time.sleep(5)


def expiry(site: Site) -> None:
    """End all sessions of servers at once; they register again."""
    owners = [site.zk.client.get(f'{PATH}/{name}')[1].ephemeralOwner
              for name in site.names()]
    for name in site.names():
        site.zk.client.delete_async(f'{PATH}/{name}')
    assert owners
    time.sleep(8)


def restart(site: Site) -> None:
    """Restart ZooKeeper."""
    site.zookeeper.restart()
    time.sleep(8)


def away(site: Site) -> None:
    """Stop ZooKeeper for three session timeouts."""
    site.zookeeper.stop()
    time.sleep(12)
    site.zookeeper.start()
    time.sleep(8)


SCENARIOS: dict[str, Callable[[Site], object]] = {
    function.__name__: function for function in (
        turns, partition, most, expiry, restart, away)}


@contextlib.contextmanager
def traffic(port: int, mode: str, result: dict) -> Iterator[None]:
    """Send requests while the block runs; fill in the result."""
    clients = subprocess.Popen(
        [sys.executable, str(HERE / 'follow_clients.py'), str(port),
         str(CLIENTS), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    assert clients.stdout
    clients.stdout.readline()
    try:
        yield
    finally:
        text, _ = clients.communicate()
    result.update(json.loads(text))


def run(name: str, options: argparse.Namespace) -> int:
    """Run a scenario, print its line, return the number of failures."""
    format = options.proxy.removeprefix('new-')
    result: dict = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = Site(options, folder, stack)
        for _ in range(options.servers):
            site.start_server()
        proxy = KINDS[options.proxy](folder / 'proxy')
        proxy.configure()
        if format != 'caddy':  # it is told when it runs
            Follower(folder, site.zookeeper.connection_string, PATH,
                     '--format', format, '-o', str(proxy.file), '--check', '',
                     '--reload', '', '--once').process.wait()
        proxy.start()
        stack.callback(proxy.stop)
        follower = Follower(folder, site.zookeeper.connection_string, PATH,
                            *follow_arguments(format, proxy),
                            '--session-timeout', '20')
        stack.callback(follower.stop)
        wait_for(lambda: len(proxy.ports(100)) == options.servers,
                 message=follower.log)
        time.sleep(1)
        with traffic(proxy.port, options.mode, result):
            began = time.time()
            SCENARIOS[name](site)
        log = follower.log() + '\n' + proxy.log()
        with contextlib.suppress(FileNotFoundError):
            log += (proxy.folder / 'error').read_text()
    ports = {float(step): found for step, found in result['ports'].items()}
    last = set().union(*(found for step, found in ports.items()
                         if step > max(ports) - 2))
    least = min((len(set().union(*(
        found for step, found in ports.items() if 0 <= step - at < 2)))
        for at in ports if began + 6 < at < max(ports) - 2), default=0)
    failures = result['failures']
    print(f'{options.proxy:9} {options.zookeeper:8} {options.servers:2} '
          f'{options.mode:5} {name:9} gap {options.gap}: {len(failures)} '
          f'failed of {result["total"]}; at work: {len(last)} in the end, '
          f'{least} at least after 6 s', flush=True)
    for when, text in failures[:3]:
        print(f'    {when - began:.2f} s: {text}')
    if options.verbose:
        print(log)
    return len(failures)


def main() -> int:
    """Run the scenarios; return 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('scenarios', nargs='*')
    parser.add_argument('--proxy', choices=KINDS, default='haproxy')
    parser.add_argument('--zookeeper', choices=['embedded', 'apache'],
                        default='embedded')
    parser.add_argument('--servers', type=int, default=4)
    parser.add_argument('--mode', choices=['close', 'keep'], default='close')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--gap', type=float, default=.3)
    parser.add_argument('--wait', type=float, default=1.)
    parser.add_argument('--verbose', action='store_true')
    options = parser.parse_args()
    return min(1, sum(run(name, options)
                      for name in options.scenarios or SCENARIOS))


if __name__ == '__main__':
    sys.exit(main())
