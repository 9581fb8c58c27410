"""Whether the counts of metrics are exact, and how long a scrape takes.

``bin/py bench/metrics.py`` sends 20,000 requests of all kinds to a server with
four threads, those that it refuses and those that clients leave included, and
compares what the clients have counted with what its metrics say.  Then it
opens 1,000 connections, keeps threads busy, waiting or computing, and measures
scrapes and requests of a further thread, with the option `switch_interval`
as it is by default and with that of Python.  At last it compares what threads
compute with each interval, in turn in one process: work done a second of CPU.
What metrics cost a request is in ``bench/http_cost.py``.
"""
from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# The clients are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))
sys.path.insert(0, str(Path(__file__).parents[1] / 'zope.server' / 'tests'))

import psutil
import zc.zk
import zc.zk.embedded
from zkzopeserver_support.scraping import scrape
from zope.server.switching import PYTHON_S
from zope_server_support import counting

PATH = '/fooservice/providers'
PROCESSES = 4
CONNECTIONS = 1000
SCRAPES = 200
INTERVALS_S = PYTHON_S, 0.002, 0.001
ROUNDS = 20


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer as the tests' application, wait for ever, or compute."""
    if environ['PATH_INFO'] == '/waits':
        threading.Event().wait()
    if environ['PATH_INFO'] == '/computes':
        while True:
            sum(range(10_000))
    return counting.application(environ, start_response)


def serve(threads: str, interval_s: str) -> None:
    """Serve, registered, with metrics; ZOOKEEPER is the connection string."""
    import zc.zkzopeserver
    zc.zkzopeserver.run(
        application, {}, zookeeper=os.environ['ZOOKEEPER'], path=PATH,
        host='127.0.0.1', threads=threads, switch_interval=interval_s,
        metrics='127.0.0.1:0', connection_limit='2000', loggers='CRITICAL')


def environ() -> dict[str, str]:
    """Return the environment of processes: bin/py has a path of its own."""
    return {**os.environ,
            'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}


@contextlib.contextmanager
def running(threads: int = 4, interval_s: float = 0.002
            ) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield (address, ``HOST:PORT`` of the metrics) of a server process."""
    with (zc.zk.embedded.Server() as server,
          zc.zk.ZooKeeper(server.connection_string) as zk):
        zk.client.ensure_path(PATH)
        process = subprocess.Popen(
            [sys.executable, __file__, '--serve', str(threads),
             str(interval_s)],
            env={**environ(), 'ZOOKEEPER': server.connection_string})
        try:
            while not zk.get_children(PATH):
                time.sleep(0.05)
            [name] = zk.get_children(PATH)
            yield (zc.zk.parse_addr(name),
                   zk.get_properties(f'{PATH}/{name}')['metrics'])
        finally:
            process.kill()
            process.wait()


def told(where: str) -> counting.Counts:
    """Return what the metrics say, with statuses as their classes."""
    found = counting.Counts()
    for (name, labels), value in scrape(where).items():
        if name == 'zkzopeserver_requests_total' and value:
            method, status = re.findall('"(.*?)"', labels)
            found.requests[method, int(status[0])] += int(value)
        elif name == 'zkzopeserver_requests_refused_total' and value:
            found.refused[int(labels.split('"')[1])] += int(value)
        elif name == 'zkzopeserver_requests_cut_total':
            found.cut = int(value)
        elif name == 'zkzopeserver_connections_accepted_total':
            found.connections = int(value)
    return found


def count(requests: int) -> bool:
    """Compare the counts of clients and server; return if they are equal."""
    with (running() as (address, where),
          ProcessPoolExecutor(PROCESSES) as pool):
        parts = 4 * PROCESSES
        seen = sum(pool.map(counting.clients, [address] * parts,
                            [requests // parts] * parts, range(parts)),
                   counting.Counts())
        classes: Counter[tuple[str, int]] = Counter()
        for (method, code), number in seen.requests.items():
            classes[method, code // 100] += number
        seen.requests = classes
        deadline = time.monotonic() + 30
        while told(where) != seen and time.monotonic() < deadline:
            time.sleep(0.1)
        found = told(where)
    print(f'{sum(seen.requests.values()) + sum(seen.refused.values())}'
          f' requests, of these {sum(seen.refused.values())} refused and'
          f' {seen.cut} cut, on {seen.connections} connections:',
          'the counts are equal' if found == seen else
          f'the counts differ:\n{seen}\n{found}', flush=True)
    return found == seen


def measure(path: str, busy: int, interval_s: float) -> None:
    """Print how long scrapes and requests take while threads are in a path."""
    with (running(busy + 1, interval_s) as (address, where),
          contextlib.ExitStack() as stack):
        clients = [stack.enter_context(socket.create_connection(address))
                   for _ in range(CONNECTIONS)]
        for client in clients[:busy]:
            client.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        while True:
            found = scrape(where)
            if (found['zkzopeserver_threads_busy', ''] == busy
                    and found['zkzopeserver_connections', ''] == CONNECTIONS):
                break
        asking = http.client.HTTPConnection(*address)

        def ask() -> None:
            asking.request('GET', '/')
            asking.getresponse().read()

        print(f'{busy} threads in {path}, interval {1000 * interval_s:g} ms:'
              f' scrape {times(lambda: scrape(where))};'
              f' request {times(ask)}', flush=True)


def times(action: Callable[[], object]) -> str:
    """Return how long an action takes, as text."""
    found = []
    for _ in range(SCRAPES):
        began = time.perf_counter()
        action()
        found.append(1000 * (time.perf_counter() - began))
    parts = statistics.quantiles(found, n=100)
    return f'{parts[49]:.1f} ms, 95 % {parts[94]:.1f}, 99 % {parts[98]:.1f}'


def work(threads: int) -> None:
    """Print what threads compute with each interval, beside Python's."""
    done = [0] * threads

    def compute(number: int) -> None:
        while True:
            sum(range(1000))
            done[number] += 1

    for number in range(threads):
        threading.Thread(target=compute, args=(number,), daemon=True).start()
    rates: dict[float, list[float]] = {each: [] for each in INTERVALS_S}
    for _ in range(ROUNDS):
        for interval_s, found in rates.items():
            sys.setswitchinterval(interval_s)
            time.sleep(0.05)
            before, began = sum(done), time.process_time()
            time.sleep(0.4)
            found.append((sum(done) - before) / (time.process_time() - began))
    for interval_s, found in rates.items():
        ratios = [one / usual for one, usual in zip(
            found, rates[PYTHON_S], strict=True)]
        print(f'{threads} threads compute, interval {1000 * interval_s:g} ms:'
              f' {statistics.median(ratios):.3f} of the work', flush=True)
    # The threads never end.
    sys.stdout.flush()
    os._exit(0)


def main() -> int:
    """Count and measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--requests', type=int, default=20_000)
    parser.add_argument('--computing', type=int, nargs='*',
                        default=[1, 2, 4, 8, 16],
                        help='threads that compute during scrapes')
    parser.add_argument('--serve', nargs=2, help=argparse.SUPPRESS)
    parser.add_argument('--work', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
    if arguments.serve:
        serve(*arguments.serve)
        return 0
    print(f'load {psutil.getloadavg()[0]:.0f} on {os.cpu_count()} cores')
    is_exact = count(arguments.requests)
    measure('/waits', 4, INTERVALS_S[1])
    for busy in arguments.computing:
        for interval_s in INTERVALS_S:
            measure('/computes', busy, interval_s)
        subprocess.run([sys.executable, __file__, '--work', str(busy)],
                       env=environ(), check=True)
    return 0 if is_exact else 1


if __name__ == '__main__':
    sys.exit(main())
