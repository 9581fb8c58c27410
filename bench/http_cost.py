"""The cost of registration, monitor, access log and metrics to a request.

``bin/py bench/http_cost.py`` asks its servers with wrk, in turn, round after
round: zope.server alone, zc.zkzopeserver with a monitor server and a node in a
real ZooKeeper (the embedded one with ``--embedded``), that with an access log,
that with metrics, and a loop in Python that does nothing but read and answer;
besides, where there is one, the compiled form of zope.server alone.
Each is compared with the first in the same round.  The medians of the ratios
are printed with their standard error.

Shared machines change their speed within seconds, and one process is a little
faster than the next of the same program.  So they run side by side, are
asked for a second each in a random order, and are started again a few times.
"""
from __future__ import annotations

import argparse
import contextlib
import math
import random
import re
import statistics
import sys
import tempfile
from pathlib import Path

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
from http_load import Cell
from http_subjects import COMPILED
from http_subjects import PATH
from http_subjects import is_installed
from http_subjects import running
from zc.zk.testing.apache import Apache
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded

WAYS = {'zc.zkzopeserver': 'HTTP alone',
        'registered': 'registered, monitor',
        'logged': 'registered, monitor, access log',
        'measured': 'registered, monitor, metrics',
        COMPILED: 'HTTP alone, compiled',
        'epoll': 'an epoll loop in Python'}
CELLS = (Cell('/hello', 1, 32), Cell('/hello', 4, 32),
         Cell('/hello', 1, 32, is_browser=True), Cell('/hello', 1, 32, False))


def report(cell: Cell, found: dict[str, list[http_load.Figures]]) -> None:
    """Print a cell: medians of the figures, and of the ratios by round."""
    print(f'\n{cell}:')
    base = found['zc.zkzopeserver']
    for name, runs in found.items():
        rate, cpu = ([getattr(run, figure) / getattr(alone, figure)
                      for run, alone in zip(runs, base, strict=True)]
                     for figure in ('rate', 'cpu'))
        middle = http_load.median(runs)
        print(f'  {WAYS[name]:32} {middle.rate:8.0f} requests/s'
              f' {statistics.median(rate):6.3f}'
              f'   CPU {middle.cpu:6.1f} us {statistics.median(cpu):6.3f}'
              f' +- {statistics.stdev(cpu) / math.sqrt(len(cpu)):.3f}'
              f'   errors {middle.errors}', flush=True)


def measure(cell: Cell, rounds: int, environment: dict[str, str],
            found: dict[str, list[http_load.Figures]]) -> None:
    """Start them, and add their figures, a second each, in turn."""
    with contextlib.ExitStack() as servers:
        subjects = {name: servers.enter_context(
            running(name, cell.threads, environment)) for name in found}
        for subject in subjects.values():
            # A server is not at its best from the first request on.
            http_load.load(*subject, cell, 1)
        for _ in range(rounds):
            # In a random order: a server may leave work for the next.
            for name in random.sample(list(subjects), len(subjects)):
                found[name].append(http_load.load(*subjects[name], cell, 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--starts', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument('--cells', default='', metavar='PATTERN',
                        help='measure those that match, as lines name them')
    parser.add_argument('--embedded', action='store_true')
    arguments = parser.parse_args()
    print(http_load.conditions(1, arguments.rounds)
          + f', started {arguments.starts} times')
    server = Embedded if arguments.embedded else Apache
    with (tempfile.TemporaryDirectory() as folder,
          server(folder) as zookeeper):
        client = start_client(zookeeper.connection_string)
        client.ensure_path(PATH)
        stop_client(client)
        environment = {'ZOOKEEPER': zookeeper.connection_string,
                       'ACCESS_LOG': str(Path(folder) / 'access.log')}
        for cell in CELLS:
            if not re.search(arguments.cells, str(cell)):
                continue
            # The loop closes no connection.
            found: dict[str, list[http_load.Figures]] = {
                name: [] for name in WAYS
                if (cell.keep_alive or name != 'epoll')
                and (name != COMPILED or is_installed(name))}
            for _ in range(arguments.starts):
                measure(cell, arguments.rounds, environment, found)
            report(cell, found)


if __name__ == '__main__':
    main()
