"""Requests that fail while servers are restarted under load.

Usage: python bench/rolling_restart.py [workers] [single] [nginx] [killed]
           [--zookeeper embedded|apache|HOST:PORT] [--requests 20000]
           [--rolls 3] [--connections 32]

workers   4 workers of one parent, rolled with SIGHUP.
single    4 servers by themselves, each stopped with SIGTERM and started again.
nginx     4 workers, rolled, behind an nginx whose upstream list this script
          rewrites from what it sees in ZooKeeper; see nginx.py beside this
          file for what it needs.
killed    as single, with SIGKILL: what the clients then see shows that they
          count what fails.

The first three without a name.  A line for each: failed requests of how many,
and the failures; the exit status is 1 when there was one.

32 clients, each in a thread with a connection of its own, send GET and POST
requests by turns; every 50th takes 0.2 s.  A client is asked for no more than
is fair:

- It sends to an address that it sees in ZooKeeper at that moment.
- It keeps its connection, http.client's.  After `Connection: close` it closes
  it, and before a request it looks whether the server has closed it.
- It sends each request once: neither GET nor POST is retried.  A connection
  refused or reset, an end without an answer, another status than 200, or other
  content than asked for is a failed request.

Half of the clients leave a connection when its address has gone from
ZooKeeper; the others stay until the server closes it.  The deregister_wait is
the default of 1 s.

Behind nginx clients connect anew for each request, and nginx doesn't retry
either.
"""
import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import nginx
import zc.zk
from zc.zk.testing.apache import Apache
from zc.zk.testing.development import Embedded
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.running import get
from zkzopeserver_support.traffic import Traffic

PATH = '/fooservice/providers'
ECHO = 'call:zkzopeserver_support.echo:make_echo'
SERVERS = 4
TIMEOUT_S = 120


class Bench:
    """The servers of one mode, and the clients' view of them."""

    def __init__(self, zk: zc.zk.ZooKeeper, zookeeper: str, folder: Path,
                 arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.rolls = arguments.rolls
        self.requests = arguments.requests
        self.connections = arguments.connections
        self._zookeeper = zookeeper
        self.children = zk.children(PATH)

    def addresses(self) -> list[str]:
        """Return the registered addresses, as ZooKeeper last said."""
        return self.children.data

    def wait_registered(self, process: processes.Process,
                        before: Iterable[str] = ()) -> None:
        """Until all servers are there, and not those of `before`."""
        wait_for(lambda: len(self.addresses()) == SERVERS
                 and set(self.addresses()) != set(before), TIMEOUT_S,
                 lambda: f'{SERVERS} servers; it says:\n{process.output}')

    @contextlib.contextmanager
    def server(self, **options: str) -> Iterator[processes.Process]:
        """Start the process of a start script; return it."""
        ini = processes.write_ini(
            self.folder, self._zookeeper, ECHO,
            path=PATH, deregister_wait='1', session_timeout='4000',
            **options)
        with processes.started(ini) as process:
            yield process
            # What the servers complain of.
            for line in process.output.splitlines():
                if ' ERROR ' in line or 'Error' in line:
                    print('  ', line)

    def roll(self, process: processes.Process, traffic: Traffic) -> None:
        """Roll so often, and as long as there are too few requests."""
        rolls = 0
        while rolls < self.rolls or traffic.total < self.requests:
            rolls += 1
            process.signal(signal.SIGHUP)
            self.wait_rolled(process, rolls)
            print(f'  roll {rolls}: {traffic.total:,} requests so far,'
                  f' {len(traffic.failures)} failed', flush=True)

    def wait_rolled(self, process: processes.Process, rolls: int) -> None:
        """Wait until the process has done `rolls` rolling restarts."""
        wait_for(lambda: process.output.count('rolling restart done') == rolls,
                 TIMEOUT_S, lambda: f'roll {rolls} to be done; it says:\n'
                 + process.output, interval=0.1)


def run_workers(bench: Bench) -> Traffic:
    """Roll the workers of one parent."""
    with bench.server(workers=str(SERVERS)) as process:
        bench.wait_registered(process)
        with Traffic(bench.addresses, bench.connections) as traffic:
            bench.roll(process, traffic)
        assert process.stopped() == 0, process.output
    return traffic


def run_single(bench: Bench, number: int = signal.SIGTERM) -> Traffic:
    """Stop and start servers, one after the other."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(bench.server())
                   for _ in range(SERVERS)]
        bench.wait_registered(servers[-1])
        restarts = 0
        with Traffic(bench.addresses, bench.connections) as traffic:
            while (restarts < bench.rolls * SERVERS
                   or traffic.total < bench.requests):
                before = bench.addresses()
                servers[0].signal(number)
                assert servers[0].ended() in (0, -number), servers[0].output
                servers.append(stack.enter_context(bench.server()))
                del servers[0]
                bench.wait_registered(servers[-1], before)
                restarts += 1
            print(f'  {restarts} restarts')
        for server in servers:
            assert server.stopped() == 0, server.output
    return traffic


def run_nginx(bench: Bench) -> Traffic:
    """Roll the workers of one parent behind an nginx."""
    with bench.server(workers=str(SERVERS)) as process:
        bench.wait_registered(process)
        front = nginx.Nginx(bench.folder)
        with contextlib.closing(front):
            front.update(bench.addresses())
            # A SIGHUP before it has begun to serve would end it.
            wait_for(lambda: answers(front.address), 10, front.errors)
            bench.children(lambda children: front.update(children.data))
            with Traffic(lambda: [front.address],
                         bench.connections) as traffic:
                bench.roll(process, traffic)
            print(f'  {front.reloads} reloads of nginx')
            if traffic.failures:
                print(front.errors())
        assert process.stopped() == 0, process.output
    return traffic


def answers(address: str) -> bool:
    """Whether there is an answer from the address."""
    with contextlib.suppress(OSError):
        return get(address)[0] == 200
    return False


def run_killed(bench: Bench) -> Traffic:
    """Kill servers, whose nodes stay until their sessions expire."""
    return run_single(bench, signal.SIGKILL)


MODES: dict[str, Callable[[Bench], Traffic]] = {
    'workers': run_workers, 'single': run_single, 'nginx': run_nginx,
    'killed': run_killed}
USUAL = 'workers', 'single', 'nginx'


def main() -> int:
    """Run the modes; 1 when a request failed."""
    arguments = parser().parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, zookeeper(
            arguments.zookeeper, Path(folder) / 'zookeeper') as string:
        for mode in arguments.modes or USUAL:
            failed += measure(mode, string, Path(folder) / mode, arguments)
    return int(failed > 0)


def measure(mode: str, zookeeper: str, folder: Path,
            arguments: argparse.Namespace) -> int:
    """Run a mode and print what it gave; the number of failures."""
    folder.mkdir()
    print(f'{mode}:', flush=True)
    began = time.monotonic()
    with contextlib.closing(zc.zk.ZooKeeper(zookeeper)) as zk:
        zk.import_tree('/fooservice\n  /providers\n')
        traffic = MODES[mode](Bench(zk, zookeeper, folder, arguments))
    print(f'{mode}: {len(traffic.failures)} failed of {traffic.total:,}'
          f' requests, {len(traffic.answers)} processes answered,'
          f' {time.monotonic() - began:.0f} s')
    for failure in traffic.failures[:20]:
        print('   ', failure)
    return len(traffic.failures)


@contextlib.contextmanager
def zookeeper(which: str, folder: Path) -> Iterator[str]:
    """Yield a connection string; end a ZooKeeper that was started for it."""
    if which not in ('embedded', 'apache'):
        yield which
        return
    with (Embedded if which == 'embedded' else Apache)(folder) as server:
        yield server.connection_string


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description='Count requests that fail while servers are restarted'
                    ' under load.')
    made.add_argument('modes', nargs='*', choices=[*MODES, []])
    made.add_argument('--zookeeper', default='embedded',
                      help='embedded, apache, or HOST:PORT')
    made.add_argument('--requests', type=int, default=20_000)
    made.add_argument('--rolls', type=int, default=3)
    made.add_argument('--connections', type=int, default=32)
    return made


if __name__ == '__main__':
    sys.exit(main())
