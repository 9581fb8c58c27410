"""How long ZooKeeper lies about servers after a fault, and what that costs.

Usage: python bench/truth.py [FAULT ...] [--tries 5] [--session-timeout 10]
           [--each] [--table] [--list]

Four workers of one parent (or a single server beside two others) register in
a real ensemble of three Apache ZooKeepers. Each try starts them anew and does
one fault. A line for each fault, with the medians of its tries, and with the
sums of the requests:

lie      seconds for which a node stood in ZooKeeper whose server did not
         answer; where there are several such nodes, that of the longest
missing  seconds for which fewer nodes than there should be stood in ZooKeeper,
         whether they answered or not
unlisted seconds for which a server answered and was not in ZooKeeper: from its
         first answer to its registration, and whenever it had lost its node;
         that of the server with the longest time
once     requests of clients that try once: how many failed, and of these how
         many were on the way when the fault came
twice    requests of clients that try another server once more that failed
empty    requests of all clients for which there was no node at all; they were
         sent to no server, and are not among the failed

An observer asks each address that it sees in ZooKeeper, or in the log of a
server, 30 to 50 times a second, and has the list by a watch. 20 clients send
100 requests a second, half of them with a second try. --each prints the times
of each try, and the least of all tries as well. --table prints the lines as
doc/operations.txt has them as well.

PYTHONDONTWRITEBYTECODE is unset: with it the servers would have to compile
their modules again at each start.
"""
from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from truth_clients import LIMIT_S
from truth_clients import PATH
from truth_clients import Clients
from truth_clients import Observer
from truth_clients import Request
from truth_faults import FAULTS
from truth_faults import Servers
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.ensemble import Ensemble
from zc.zk.testing.waiting import wait_for

COLUMNS = ('lie', 'missing', 'unlisted', 'failed, once', 'failed, twice',
           'empty')


class Found(NamedTuple):
    """What a try has found; `hit_at` is when the fault was done."""

    lie_s: float
    missing_s: float
    unlisted_s: float
    hit_at: float
    requests: list[Request]


def measure(name: str, ensemble: Ensemble, timeout_s: float) -> Found:
    """Do a fault once."""
    fault = FAULTS[name]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = start_client(ensemble.connection_string, timeout=30.)
        stack.callback(stop_client, client)
        client.ensure_path(PATH)
        wait_for(lambda: not client.get_children(PATH), LIMIT_S)
        servers = Servers(folder, ensemble, client, stack,
                          session_timeout=str(round(timeout_s * 1000)),
                          **fault.options)
        if fault.is_cut:
            servers.place_proxies()
        servers.start(fault.workers)
        if fault.others:
            servers.start_others()
        observer = Observer(
            client, fault.workers + min(fault.others, fault.others_after),
            servers.outputs)
        stack.callback(observer.close)
        observer.wait_well(fault.workers + fault.others)
        clients = Clients(observer)
        stack.callback(clients.close)
        observer.begin()
        fault.do(servers)
        observer.wait_well(fault.workers + fault.others_after)
        clients.close()
        found = Found(observer.lie_s, observer.missing_s, observer.unlisted_s,
                      servers.hit_at, clients.requests)
        servers.process.stopped()
        if fault.others_after:
            servers.others.stopped()
        ensemble.heal()
    return found


def summarize(tries: Iterable[Found]) -> list[str]:
    """Return the texts of the columns."""
    tries = list(tries)
    requests = [(each, found.hit_at) for found in tries
                for each in found.requests]
    counts = []
    for number in 1, 2:
        sent = [(each, hit_at) for each, hit_at in requests
                if each.tries == number]
        failed = [each.began < hit_at for each, hit_at in sent
                  if each.outcome == 'failed']
        counts.append(f'{len(failed):,} of {len(sent):,}')
        if number == 1 and any(failed):
            counts[0] += f' ({sum(failed)} on the way)'
    empty = sum(each.outcome == 'empty' for each, _ in requests)
    return [*(f'{statistics.median(each):.2f}' for each in (
        [found.lie_s for found in tries],
        [found.missing_s for found in tries],
        [found.unlisted_s for found in tries])), *counts, f'{empty:,}']


def times(name: str, tries: Iterable[Found]) -> Iterator[str]:
    """Return lines with the times of each try, and with the least of them."""
    rows = [found[:3] for found in tries]
    for words, row in [*(('', row) for row in rows),
                       (', least', map(min, zip(*rows, strict=True)))]:
        yield '  '.join([f'{name + words:>32}',
                         *(f'{each:.2f}' for each in row)])


def table(rows: list[list[str]]) -> str:
    """Return a table of reStructuredText."""
    rows = [['fault', *COLUMNS], *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = '  '.join('=' * width for width in widths)
    first, *lines = ['  '.join(
        text.ljust(width) for text, width in zip(row, widths, strict=True)
    ).rstrip() for row in rows]
    return '\n'.join([rule, first, rule, *lines, rule])


def main() -> int:
    """Measure the faults that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('faults', nargs='*', metavar='FAULT')
    parser.add_argument('--tries', type=int, default=5)
    parser.add_argument('--session-timeout', type=float, default=10.0,
                        metavar='SECONDS')
    parser.add_argument('--each', action='store_true')
    parser.add_argument('--table', action='store_true')
    parser.add_argument('--list', action='store_true')
    arguments = parser.parse_args()
    if unknown := set(arguments.faults) - set(FAULTS):
        parser.error(f'unknown: {", ".join(sorted(unknown))}')
    if arguments.list:
        for name, fault in FAULTS.items():
            print(f'{name:24} {fault.text}')
        return 0
    # Its connection is cut again and again, as it is meant to be.
    logging.getLogger('kazoo').setLevel(logging.CRITICAL)
    socket.setdefaulttimeout(30)
    # Servers start as fast as they do elsewhere.
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    rows = []
    print(f'{"fault":24}', *COLUMNS, sep='  ')
    with tempfile.TemporaryDirectory() as folder, Ensemble(folder) as ensemble:
        for name in arguments.faults or FAULTS:
            tries = []
            for _ in range(arguments.tries):
                try:
                    tries.append(measure(name, ensemble,
                                         arguments.session_timeout))
                except AssertionError as error:
                    # One that ends in no time; the others go on.
                    print(f'{name}: a try has failed: {error}')
                    ensemble.heal()
            if tries:
                columns = summarize(tries)
                rows.append([FAULTS[name].text, *columns])
                print(f'{name:24}', *columns, sep='  ', flush=True)
                if arguments.each:
                    print(*times(name, tries), sep='\n', flush=True)
    if arguments.table:
        print(table(rows))
    return 0 if len(rows) == len(arguments.faults or FAULTS) else 1


if __name__ == '__main__':
    sys.exit(main())
