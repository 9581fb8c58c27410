"""Requests that fail while servers come, go, and are cut off from ZooKeeper.

Usage: bin/py bench/follow.py [--turns] [--faults] [--flaps] [--scale]
           [--proxy NAME ...] [--only FAULT ...] [--servers N]
           [--zookeeper embedded|apache] [--results FILE]
           [--requests 20000] [--rounds 20] [--rate 450] [--wait 1]

--turns    a server is started and another stopped properly, by turns; then the
           workers of a third are rolled. For each proxy, with clients that
           connect anew and such that keep their connections, at the same time.
--faults   the table of faults: partitions, ended sessions, a ZooKeeper that is
           away; see follow_faults.py. `--only`, `--servers` and `--zookeeper`
           select rows. HAProxy, nginx and Envoy stand before the same servers.
--flaps    one server comes and goes 40 times within 10 s.
--scale    1,000 servers: the first list, a change, and 10,000 changes; see
           follow_scale.py.

All four without a word. With `--results`, what is done is kept in a file, and
not done again. The exit status is 1 when a request failed, or servers were not
at work again within 5 s.

zookeeper_follow keeps the list of a real proxy, whose own retries are off;
eight clients in another process repeat nothing. deregister_wait is `--wait`,
by default 1 s. Times are in milliseconds: "up" from a node's creation to the
first answer of its server through the proxy, "down" from the deletion to the
last request that the server answered; less than 0 for one that was sent
before.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import follow_scale
from follow_faults import FAULTS
from follow_faults import Row
from follow_faults import rows
from follow_site import KINDS
from follow_site import PATH
from follow_site import Front
from follow_site import Site
from follow_site import Traffic
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for
from zc_zk_support.proxies import Backend
from zkzopeserver_support import processes

#: The time in which all servers are to be at work after a fault.
BACK_S = 5.

#: Without keepalive_min_timeout nginx closes kept connections at a reload.
ONLY_ANEW = 'nginx',

ROLLS = 3
ROLLED_WORKERS = 2
FLAPS = 40
FLAPS_S = 10.
FAULT_RATE = 120.


@contextlib.contextmanager
def a_site(*args: object, **options: object) -> Iterator[Site]:
    """Yield a site in a temporary folder, which is ended with the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield Site(folder, stack, *args, **options)


# Turns

def turns(name: str, options: argparse.Namespace) -> bool:
    """Start and stop servers, and roll workers, behind one proxy."""
    with a_site(wait=options.wait) as site:
        site.start_servers(3)
        front = Front(site, name)
        front.wait_ready()
        modes = ['close', 'keep'][:1 if name in ONLY_ANEW else 2]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Traffic(
                front, mode, options.rate)) for mode in modes]
            done = 0
            while done < options.rounds or any(
                    traffic.count() < options.requests for traffic in clients):
                site.start_servers(1)
                time.sleep(.6)
                site.stop_servers([min(site.ports)])
                done += 1
            time.sleep(.5)
            up, down = dict(site.made), dict(site.gone)
            began = time.time()
            roll(site, options.wait)
            time.sleep(.5)
        for traffic in clients:
            print_turns(name, traffic, up, down, began)
        if options.verbose:
            print(front.log())
    return not any(traffic.failures for traffic in clients)


def roll(site: Site, wait: float) -> None:
    """Roll the workers of a server that is started for it."""
    folder = site.folder / 'workers'
    folder.mkdir()
    ini = processes.write_ini(
        folder, site.zookeeper.connection_string,
        'call:follow_servers:make_application', path=PATH, threads='4',
        workers=str(ROLLED_WORKERS), deregister_wait=str(wait),
        session_timeout='4000')
    before = len(site.ports)
    with processes.started(ini) as process:
        site.wait_nodes(before + ROLLED_WORKERS)
        for number in range(1, ROLLS + 1):
            process.signal(signal.SIGHUP)
            wait_for(lambda number=number: process.output.count(
                'rolling restart done') == number, 60,
                lambda: process.output)
        assert process.stopped() == 0, process.output


def print_turns(name: str, traffic: Traffic, up: dict[str, float],
                down: dict[str, float], began: float) -> None:
    """Print the line of a kind of clients."""
    rolled = [when for when, _ in traffic.failures if when >= began]
    ups = [1000 * (traffic.first[port] - when) for port, when in up.items()
           if when > traffic.began and port in traffic.first]
    downs = [1000 * (traffic.last[port] - when)
             for port, when in down.items() if port in traffic.last]
    print(f'{name:9} {traffic.mode:5} {len(traffic.failures) - len(rolled):4} '
          f'failed of {traffic.total:6,}, {len(rolled)} more in {ROLLS} rolls;'
          f' up {_times(ups)}, down {_times(downs)}', flush=True)
    for when, text in traffic.failures[:5]:
        print(f'    {when - traffic.began:.2f} s: {text}', flush=True)


def _times(found: list[float]) -> str:
    """Return median, maximum, and number."""
    if not found:
        return 'none'
    return (f'{statistics.median(found):.0f}/{max(found):.0f} ms '
            f'({len(found)})')


# Faults

def fault(row: Row, names: Sequence[str], verbose: bool) -> list[list]:
    """Do what a row says; return a list for each proxy.

    It has the name, the numbers of failures and requests, the seconds until
    all were at work, and how many were at least from BACK_S on.
    """
    found = []
    with a_site(row.zookeeper) as site:
        site.start_servers(row.servers)
        fronts = [Front(site, name) for name in names]
        for front in fronts:
            front.wait_ready()
        time.sleep(1)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(
                Traffic(front, 'close', FAULT_RATE)) for front in fronts]
            time.sleep(1)
            since = FAULTS[row.fault](site, fronts, row.seconds)
            site.wait_registered()
            time.sleep(row.after_s)
            ended = time.time()
        ports = set(site.ports.values())
        for front, traffic in zip(fronts, clients, strict=True):
            found.append([
                front.name, len(traffic.failures), traffic.total,
                traffic.all_at_work(ports, since),
                least(traffic, since + BACK_S, ended, ports)])
            for when, text in traffic.failures[:3]:
                print(f'    {front.name} {when - traffic.began:.2f} s: {text}')
            if verbose:
                print(front.log())
    return found


def least(traffic: Traffic, begin: float, end: float,
          ports: set[str]) -> int:
    """Return the least number of ports at work within any second."""
    numbers = []
    while begin + 1 <= end:
        numbers.append(len(traffic.at_work(begin, begin + 1) & ports))
        begin += .5
    return min(numbers, default=0)


def faults(options: argparse.Namespace, results: Results) -> bool:
    """Go through the table."""
    names = options.proxy or ['haproxy', 'nginx', 'envoy']
    is_good = True
    for row in rows():
        if (options.only and row.fault not in options.only
                or options.servers not in (None, row.servers)
                or options.zookeeper not in (None, row.zookeeper)):
            continue
        began = time.monotonic()
        found = results.get(str(row))
        if found is None:
            found = fault(row, names, options.verbose)
            results.add(str(row), found)
        working = row.servers - (row.servers * 3 // 4
                                 if row.fault == 'most' else 0)
        print(f'{row} ({time.monotonic() - began:.0f} s)', flush=True)
        for name, failed, total, back, number in found:
            good = (not failed and back is not None and back <= BACK_S
                    and number == working)
            is_good = is_good and good
            print(f'    {name:9} {failed:4} failed of {total:6,}; all '
                  + ('never' if back is None else f'after {back:.1f} s')
                  + f', then at least {number} of {working}'
                  + ('' if good else '   <-- not good'), flush=True)
    return is_good


# Flaps

def flaps(options: argparse.Namespace) -> bool:
    """Have one of three servers come and go."""
    names = options.proxy or ['haproxy', 'nginx', 'envoy']
    with a_site(wait=options.wait) as site, contextlib.closing(
            Backend()) as backend:
        site.start_servers(2)
        ports = {name: free_port() for name in names}
        fronts = [Front(site, name, '--listen', f'127.0.0.1:{ports[name]}')
                  for name in names]
        for front in fronts:
            front.wait_ready()
        before = {name: reloads(port) for name, port in ports.items()}
        node = f'{PATH}/{backend.name}'
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(
                Traffic(front, 'close', FAULT_RATE)) for front in fronts]
            began = time.monotonic()
            for number in range(FLAPS):
                for step, change in enumerate((site.zk.client.create,
                                               site.zk.client.delete)):
                    due = began + FLAPS_S * (number + step / 2) / FLAPS
                    time.sleep(max(0, due - time.monotonic()))
                    change(node)
            took = time.monotonic() - began
            after = {name: reloads(port) for name, port in ports.items()}
            time.sleep(2)
        for front, traffic in zip(fronts, clients, strict=True):
            print(f'{front.name:9} {FLAPS} flaps in {took:.1f} s: '
                  f'{after[front.name] - before[front.name]:.0f} reloads; '
                  f'{len(traffic.failures)} failed of {traffic.total:,}',
                  flush=True)
    return not any(traffic.failures for traffic in clients)


def reloads(port: int) -> float:
    """Return the number of reloads that a follower has done."""
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics',
                                timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('zookeeper_follow_reloads_total{result="ok"}'):
                return float(line.split()[1])
    return 0.


class Results:
    """What was found before, in a file of JSON lines; without one, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, list] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                name, found = json.loads(line)
                self._found[name] = found

    def get(self, name: str) -> list | None:
        """Return what was found, None if nothing was."""
        return self._found.get(name)

    def add(self, name: str, found: list) -> None:
        """Keep what was found."""
        if self._path is not None:
            with self._path.open('a') as file:
                file.write(json.dumps([name, found]) + '\n')


def main() -> int:
    """Do what is asked for; return 1 if anything is not good."""
    options = _parser().parse_args()
    parts = [name for name in ('turns', 'faults', 'flaps', 'scale')
             if getattr(options, name)] or ['turns', 'faults', 'flaps',
                                            'scale']
    results = Results(options.results)
    good = []
    for part in parts:
        print(f'{part}:', flush=True)
        began = time.monotonic()
        if part == 'turns':
            good += [turns(name, options) for name in options.proxy or KINDS]
        elif part == 'faults':
            good.append(faults(options, results))
        elif part == 'flaps':
            good.append(flaps(options))
        else:
            follow_scale.main(options.changes)
        print(f'{part}: {time.monotonic() - began:.0f} s\n', flush=True)
    return 0 if all(good) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    for name in 'turns', 'faults', 'flaps', 'scale':
        add(f'--{name}', action='store_true')
    add('--proxy', choices=KINDS, nargs='*')
    add('--only', choices=FAULTS, nargs='*')
    add('--servers', type=int)
    add('--zookeeper', choices=['embedded', 'apache'])
    add('--results', type=Path)
    add('--requests', type=int, default=20_000)
    add('--rounds', type=int, default=20)
    add('--rate', type=float, default=450.)
    add('--wait', type=float, default=1.)
    add('--changes', type=int, default=10_000)
    add('--verbose', action='store_true')
    return parser


if __name__ == '__main__':
    sys.exit(main())
