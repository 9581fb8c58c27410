"""Whether the counts of metrics are exact, and how long a scrape takes.

``bin/py bench/metrics.py`` sends 20,000 requests of all kinds to a server with
four threads, those that it refuses and those that clients leave included, and
compares what the clients have counted with what its metrics say.  Then it
opens 1,000 connections, keeps all threads busy, waiting or computing, and
measures scrapes.  What metrics cost a request is in ``bench/http_cost.py``.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
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
from zope_server_support import counting

PATH = '/fooservice/providers'
PROCESSES = 4
CONNECTIONS = 1000
SCRAPES = 200


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer as the tests' application, wait for ever, or compute."""
    if environ['PATH_INFO'] == '/waits':
        threading.Event().wait()
    if environ['PATH_INFO'] == '/computes':
        while True:
            sum(range(10_000))
    return counting.application(environ, start_response)


def serve() -> None:
    """Serve, registered, with metrics; ZOOKEEPER is the connection string."""
    import zc.zkzopeserver
    zc.zkzopeserver.run(
        application, {}, zookeeper=os.environ['ZOOKEEPER'], path=PATH,
        host='127.0.0.1', threads='4', metrics='127.0.0.1:0',
        connection_limit='2000', loggers='CRITICAL')


@contextlib.contextmanager
def running() -> Iterator[tuple[tuple[str, int], str]]:
    """Yield (address, ``HOST:PORT`` of the metrics) of a server process."""
    with (zc.zk.embedded.Server() as server,
          zc.zk.ZooKeeper(server.connection_string) as zk):
        zk.client.ensure_path(PATH)
        process = subprocess.Popen(
            [sys.executable, __file__, '--serve'],
            # bin/py has a path of its own.
            env={**os.environ, 'ZOOKEEPER': server.connection_string,
                 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
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


def measure(path: str) -> None:
    """Print how long scrapes take while all threads are in a path."""
    with running() as (address, where), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address))
                   for _ in range(CONNECTIONS)]
        for client in clients[:8]:
            client.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        while True:
            found = scrape(where)
            if (found['zkzopeserver_threads_busy', ''] == 4
                    and found['zkzopeserver_connections', ''] == CONNECTIONS):
                break
        times = []
        for _ in range(SCRAPES):
            began = time.perf_counter()
            scrape(where)
            times.append(1000 * (time.perf_counter() - began))
        parts = statistics.quantiles(times, n=100)
        print(f'scrapes, {CONNECTIONS} connections, four threads in {path}:'
              f' median {parts[49]:.1f} ms, 90 % {parts[89]:.1f} ms,'
              f' 99 % {parts[98]:.1f} ms', flush=True)


def main() -> int:
    """Count and measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--requests', type=int, default=20_000)
    parser.add_argument('--serve', action='store_true',
                        help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    print(f'load {psutil.getloadavg()[0]:.0f} on {os.cpu_count()} cores')
    is_exact = count(arguments.requests)
    measure('/waits')
    measure('/computes')
    return 0 if is_exact else 1


if __name__ == '__main__':
    sys.exit(main())
