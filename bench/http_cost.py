"""What registration, monitor and access log cost a request.

``bin/py bench/http_cost.py`` asks three servers with wrk, in turn, round after
round: the HTTP server alone, the whole with a monitor server and a node in a
real ZooKeeper (the embedded one with ``--embedded``), and that with an access
log.  Each is compared with the first in the same round; the medians count.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
from http_load import Cell
from http_subjects import PATH
from zc.zk.testing.apache import Apache
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded

WAYS = {'zc.zkzopeserver': 'HTTP alone',
        'registered': 'registered, monitor',
        'logged': 'registered, monitor, access log'}


def report(cell: Cell, found: dict[str, list[http_load.Figures]]) -> None:
    """Print a cell: medians, and of the ratios round by round."""
    print(f'\n{cell}:')
    base = found['zc.zkzopeserver']
    for name, runs in found.items():
        rate, cpu = (statistics.median(
            getattr(run, figure) / getattr(alone, figure)
            for run, alone in zip(runs, base, strict=True))
            for figure in ('rate', 'cpu'))
        middle = http_load.median(runs)
        print(f'  {WAYS[name]:32} {middle.rate:8.0f} requests/s'
              f' {rate:6.3f}   CPU {middle.cpu:6.1f} us {cpu:6.3f}'
              f'   errors {middle.errors}', flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=int, default=2)
    parser.add_argument('--embedded', action='store_true')
    arguments = parser.parse_args()
    print(http_load.conditions(arguments.seconds, arguments.rounds))
    server = Embedded if arguments.embedded else Apache
    with (tempfile.TemporaryDirectory() as folder,
          server(folder) as zookeeper):
        client = start_client(zookeeper.connection_string)
        client.ensure_path(PATH)
        stop_client(client)
        environment = {'ZOOKEEPER': zookeeper.connection_string,
                       'ACCESS_LOG': str(Path(folder) / 'access.log')}
        for cell in (Cell('/hello', 1, 32), Cell('/hello', 4, 32)):
            found: dict[str, list[http_load.Figures]] = {
                name: [] for name in WAYS}
            for _ in range(arguments.rounds):
                for name, runs in found.items():
                    runs.append(http_load.measure(
                        name, cell, arguments.seconds, environment))
            report(cell, found)


if __name__ == '__main__':
    main()
