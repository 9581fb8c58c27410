"""Measure Python clients of a service: what they lose, and what it costs.

Usage: bin/py bench/clients.py [--requests 20000] [--threads 6] [PART...]

Starts an embedded ZooKeeper and servers of this checkout as processes on
loopback ports, and prints a line for each thing that is to be reached: its
figure, the limit, and whether it is kept. The parts:

cost    the price of a pick, and of an adapter, in CPU time
losses  GET and POST by turns while servers are stopped (SIGTERM), and killed
        (SIGKILL). A POST that was under way at a kill may fail, nothing else.
slow    one of three servers takes ten times as long
faults  servers are cut off from ZooKeeper, at once and one after the other,
        sessions are ended, ZooKeeper is away; all clients at the same time

The client "random child" takes a random child of the providers node for each
request, as a program without a balancer does. All parts take about ten minutes
on two quiet cores. The exit status is 1 if a limit is not kept.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import requests
import urllib3
import zc.zk
import zc.zk.embedded
from zc.zk.balancing import Balancer
from zc.zk.testing.proxy import Proxy

sys.path.insert(0, str(Path(__file__).parent))

from clients_subjects import BALANCED
from clients_subjects import CLIENTS
from clients_subjects import PATH
from clients_subjects import Load
from clients_subjects import Request
from clients_subjects import Service
from clients_subjects import serving

# The session timeout of the servers; a partition is longer.
SESSION_S = 4.0
PARTITION_S = 2.5 * SESSION_S


class Table:
    """The lines that are printed, and whether all limits are kept."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        self._began = time.monotonic()

    def add(self, what: str, figure: str, limit: str = '',
            is_kept: bool = True) -> None:
        """Print a line; without a limit it is for comparison."""
        mark = '  ' if not limit else 'ok' if is_kept else '!!'
        print(f'{time.monotonic() - self._began:4.0f} s  {mark}  {what:<54}'
              f'{figure}' + (f'  (limit: {limit})' if limit else ''),
              flush=True)
        if not is_kept:
            self.missed.append(what)


def measure_losses(service: Service, table: Table, count: int,
                   threads: int) -> None:
    """Print what each client loses while servers come and go."""
    for title, number, wait in (
            ('SIGTERM, deregister_wait = 1', signal.SIGTERM, 1.0),
            ('SIGTERM, deregister_wait = 0', signal.SIGTERM, 0.0),
            ('SIGKILL', signal.SIGKILL, 1.0)):
        for name, make in CLIENTS.items():
            # When each was about to end, and when it had ended.
            ends: list[tuple[float, float]] = []
            with serving(service, wait, 0.002, 0.002, 0.002):
                load = Load(make(service.zk), threads,
                            count if name in BALANCED else count // 4)
                while load.is_running():
                    service.start(wait)
                    start = time.monotonic()
                    service.end(number)
                    ends.append((start, time.monotonic()))
                    time.sleep(0.3)
            failed = load.failed()
            lost = [each for each in failed if each.method != 'POST'
                    or number != signal.SIGKILL
                    or not any(each.start <= over and each.end >= start
                               for start, over in ends)]
            figure = (f'{len(failed)} failed of {len(load.done)},'
                      f' {len(ends)} servers ended')
            if name in BALANCED:
                table.add(f'{title}: {name}', figure,
                          'POSTs under way' if number == signal.SIGKILL
                          else '0', not lost)
                for each in lost[:3]:
                    print(f'        {each.method} {each.error}')
            else:
                table.add(f'{title}: {name}', figure)


def measure_slow(service: Service, table: Table, count: int,
                 threads: int) -> None:
    """Print the times with one slow server of three."""
    with serving(service, 0.0, 0.2, 0.02, 0.02) as (slow, *_):
        for name, make in CLIENTS.items():
            send = make(service.zk)
            Load(send, threads, 10 * threads).join()    # connections are made
            done = Load(send, threads, count // 8).join()
            fast = [each for each in done if each.server != slow]
            ratio = p99(done) / p99(fast)
            figure = (f'{p99(done):.1f} ms, {ratio:.2f} of {p99(fast):.1f};'
                      f' {1 - len(fast) / len(done):.1%} went there')
            if name in BALANCED:
                table.add(f'p99 with a slow server: {name}', figure, '1.5',
                          ratio <= 1.5)
            else:
                table.add(f'p99 with a slow server: {name}', figure)


def p99(requests: list[Request]) -> float:
    """Return the 99th percentile of the times, in milliseconds."""
    times = sorted(each.end - each.start for each in requests)
    return 1000 * times[len(times) * 99 // 100]


def measure_faults(service: Service, table: Table) -> None:
    """Print what all clients lose together when ZooKeeper has trouble."""
    for title, step_s, cut in (
            ('all cut off at once', 0.0, 4), ('all, 0.3 s apart', 0.3, 4),
            ('all, 1.2 s apart', 1.2, 4), ('one of four cut off', 0.0, 1)):
        def partition(proxies: list[Proxy]) -> None:
            for proxy in proxies[:cut]:         # noqa: B023 (called at once)
                proxy.drop()
                time.sleep(step_s)              # noqa: B023
            time.sleep(PARTITION_S)
            for proxy in proxies:
                proxy.heal()
        measure_fault(service, table, title, partition)
    measure_fault(service, table, 'all sessions are ended, three times',
                  lambda proxies: end_sessions(service))
    measure_fault(service, table, 'ZooKeeper is away for 10 s',
                  lambda proxies: pause(service))


def measure_fault(service: Service, table: Table, title: str,
                  fault: Callable[[list[Proxy]], None]) -> None:
    """Print what one fault costs, and whether all servers work after it."""
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(
            service.zookeeper.connection_string)) for _ in range(4)]
        stack.callback(service.close)
        addresses = {service.start(1.0, zookeeper=proxy.connection_string)
                     for proxy in proxies}
        loads = {name: Load(make(service.zk), 2)
                 for name, make in CLIENTS.items()}
        time.sleep(1.5)
        fault(proxies)
        time.sleep(5)
        over = time.monotonic() - 2
        for load in loads.values():
            load.stop()
    for name, load in loads.items():
        failed = len(load.failed())
        at_work = {each.server for each in load.done
                   if each.end > over} & addresses
        figure = (f'{failed} failed of {len(load.done)},'
                  f' {len(at_work)} at work after it')
        if name in BALANCED:
            table.add(f'{title}: {name}', figure, '0, 4',
                      not failed and at_work == addresses)
        else:
            table.add(f'{title}: {name}', figure)


def end_sessions(service: Service) -> None:
    """End the sessions of all servers, again and again."""
    for _ in range(3):
        for name in service.zk.get_children(PATH):
            stat = service.zk.exists(f'{PATH}/{name}')
            if stat:
                service.zookeeper.expire(stat.ephemeralOwner)
        time.sleep(2)


def pause(service: Service) -> None:
    """Let ZooKeeper refuse connections for longer than a session."""
    service.zookeeper.pause(refuse=True)
    time.sleep(PARTITION_S)
    service.zookeeper.resume()


def measure_cost(service: Service, table: Table) -> None:
    """Print what a pick and an adapter cost."""
    for count, limit in (3, 5.0), (200, 10.0), (5000, 0.0):
        service.zk.import_tree('/many\n' + ''.join(
            f'  /10.0.{number // 250}.{number % 250}:80\n'
            for number in range(count)), trim=True)
        balancer = Balancer(service.zk, '/many')
        while balancer.count < count:
            time.sleep(0.01)
        rounds = []
        for _ in range(7):
            start = time.thread_time()
            for _ in range(10_000):
                balancer.lease().done()
            rounds.append((time.thread_time() - start) * 100)
        table.add(f'pick and done, {count} servers',
                  f'{min(rounds):.1f} us of CPU',
                  limit and f'{limit:g}' or '',
                  not limit or min(rounds) <= limit)
    with serving(service, 0.0, 0.0) as (address,):
        plain = requests.Session()
        plain.trust_env = False
        for name, send, limit in (
                ('requests', functools.partial(
                    plain.get, f'http://{address}/', timeout=10), 1.05),
                ('httpx', functools.partial(
                    httpx.Client(trust_env=False).get, f'http://{address}/',
                    timeout=10), 0.0),
                ('urllib3', functools.partial(
                    urllib3.PoolManager().request, 'GET',
                    f'http://{address}/', timeout=10), 0.0)):
            ratios = paired(send, functools.partial(
                BALANCED[name](service.zk), 'GET'))
            ratio = statistics.median(ratios)
            error = statistics.stdev(ratios) / len(ratios) ** 0.5
            table.add(f'CPU of a GET, with beside without: {name}',
                      f'{ratio:.3f} +- {error:.3f}',
                      limit and f'{limit:g}' or '',
                      not limit or ratio <= limit)


def paired(one: Callable[[], object],
           other: Callable[[], object]) -> list[float]:
    """Return ratios of the CPU time of this thread, of the second's."""
    ratios = []
    for _ in range(20):
        spent = []
        for send in one, other:
            start = time.thread_time()
            for _ in range(150):
                send()
            spent.append(time.thread_time() - start)
        ratios.append(spent[1] / spent[0])
    return ratios


def main() -> int:
    """Measure, and print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('parts', nargs='*', metavar='PART', help='cost,'
                        ' losses, slow, faults (default: all)')
    parser.add_argument('--requests', type=int, default=20_000)
    parser.add_argument('--threads', type=int, default=6)
    options = parser.parse_args()
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {platform.machine()}, {os.cpu_count()} cores, load'
          f' {os.getloadavg()[0]:.1f}')
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(zc.zk.embedded.Server())
        zk = stack.enter_context(zc.zk.ZooKeeper(server.connection_string))
        zk.import_tree('/bench\n  /providers\n')
        service = Service(folder, zk, server)
        parts = {
            'cost': lambda: measure_cost(service, table),
            'losses': lambda: measure_losses(
                service, table, options.requests, options.threads),
            'slow': lambda: measure_slow(
                service, table, options.requests, options.threads),
            'faults': lambda: measure_faults(service, table)}
        for part in options.parts or parts:
            parts[part]()
    print('missed:', ', '.join(table.missed) or 'nothing')
    return bool(table.missed)


if __name__ == '__main__':
    sys.exit(main())
