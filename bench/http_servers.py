"""Requests a second, CPU a request and latency, beside other servers.

``bin/py bench/http_servers.py`` runs each server in a process of its own and
asks it with wrk (Debian's package ``wrk``), in turn, round after round, so
that a machine that gets slower meanwhile gets slower for all.  Ratios are to
zope.server 5, see `http_subjects`; without it, to zope.server 6; or to the
server that ``--base`` names.
(Not http.py: the scripts beside it would import that instead of Python's.)

Measured are 1, 4 and 16 threads, 1, 32 and 256 connections, kept alive and
closed, hello, 100 kB and 1 MB upload; with ``--short`` the cells that matter
most; with ``--others`` a browser's nine fields, and an application that waits
for 5 ms.  Figures are medians over the rounds.  Trust the ratios.

All cells of ten servers take an hour.  With ``--results FILE`` they can be
measured in pieces, by cells (``--cells``) and servers (``--only``): the file
keeps what was measured, and the summary is of all of it.  54 cells of six
servers, as these, take 20 minutes::

    bin/py bench/http_servers.py --rounds 2 --seconds 1 --base granian \
        --only zc.zkzopeserver compiled granian 'granian st' fastwsgi uwsgi

fastwsgi has one thread in all cells.  uWSGI has a thread for each connection,
as it would serve no others.  A server's cells with errors are left out.

The 99th percentile says little about a server that keeps most connections
waiting for good, as wrk only counts answers.  So ``served`` is the number of
connections that were being served on average: requests a second times mean
latency (Little's law).
"""
from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
from http_load import Cell
from http_load import Figures
from http_subjects import SERVERS
from http_subjects import WAIT
from http_subjects import installed

SHORT = (Cell('/hello', 1, 32), Cell('/hello', 4, 32),
         Cell('/large', 4, 32), Cell('/upload', 4, 32))
ALL = tuple(itertools.starmap(Cell, itertools.product(
    ('/hello', '/large', '/upload'), (1, 4, 16), (1, 32, 256),
    (True, False))))
# A browser's head, and an application that waits for 5 ms.
OTHERS = (Cell('/hello', 1, 32, is_browser=True),
          Cell('/hello', 4, 32, is_browser=True),
          Cell('/hello', 4, 32, False, is_browser=True),
          Cell(WAIT, 16, 32), Cell(WAIT, 16, 256))

SHOWN = {'zc.zkzopeserver': 'this'}
RULE = ' '.join('=' * width for width in (16, 10, 7, 10, 9, 6, 6))


def table(cell: Cell, found: dict[str, Figures], base: str) -> None:
    """Print the figures of all servers in a cell, as reStructuredText."""
    unit = found[base].rate if base in found else math.nan
    print(f'\n{cell}:\n\n{RULE}')
    print(f'{"":16} {"requests/s":>10} {"ratio":>7} {"CPU us":>10}'
          f' {"p99 ms":>9} {"served":>6} {"errors":>6}\n{RULE}')
    for name, each in found.items():
        print(f'{name:16} {each.rate:10.0f} {each.rate / unit:7.2f}'
              f' {each.cpu:10.1f} {each.p99:9.1f} {each.served:6.0f}'
              f' {each.errors:6}')
    print(RULE, flush=True)


def summary(found: dict[Cell, dict[str, Figures]], base: str) -> None:
    """Print a table for each kind of request, as reStructuredText.

    It has the ratio of requests a second to that of `base`, and in brackets
    the 99th percentile of latency in milliseconds; a star where less than half
    of the connections were served.
    """
    for kind in dict.fromkeys(cell.kind for cell in found):
        rows = {cell: servers for cell, servers in found.items()
                if cell.kind == kind}
        names = list(dict.fromkeys(itertools.chain(*rows.values())))
        rule = ' '.join(['=' * 14, *(['=' * 12] * len(names))])
        print(f'\n{kind}, by threads and connections:\n')
        print(rule)
        print(f'{"":14} ' + ' '.join(
            f'{SHOWN.get(name, name):12}' for name in names).rstrip())
        print(rule)
        for cell, servers in rows.items():
            print(f'{cell.size:14} ' + ' '.join(
                f'{beside(servers, name, base, cell):12}'
                for name in names).rstrip())
        print(rule)
    print()
    best = Counter(itertools.starmap(quickest, found.items()))
    for name, count in best.most_common():
        print(f'{SHOWN.get(name, name)} has the lowest 99th percentile in'
              f' {count} of {len(found)} cells')


def beside(servers: dict[str, Figures], name: str, base: str,
           cell: Cell) -> str:
    """Return the figures of a server in a cell, for the summary."""
    if name not in servers or base not in servers or servers[name].errors:
        return ''
    each = servers[name]
    star = '*' if 2 * each.served < cell.connections else ''
    return (f'{each.rate / servers[base].rate:.2f}'
            f' ({each.p99:.{1 if each.p99 < 100 else 0}f}){star}')


def quickest(cell: Cell, servers: dict[str, Figures]) -> str:
    """Return the server with the lowest 99th percentile of those served."""
    names = [name for name, each in servers.items()
             if not each.errors and 2 * each.served >= cell.connections]
    return min(names or servers, key=lambda name: servers[name].p99)


def load(path: Path | None) -> dict[Cell, dict[str, Figures]]:
    """Return what was measured before."""
    if path is None or not path.exists():
        return {}
    return {Cell(*cell): {name: Figures(*figures)
                          for name, figures in servers.items()}
            for cell, servers in json.loads(path.read_text())}


def save(path: Path | None, found: dict[Cell, dict[str, Figures]]) -> None:
    """Write what was measured to the file, if there is any."""
    if path is not None:
        path.write_text(json.dumps(list(found.items())))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--others', action='store_true')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--only', nargs='*', choices=SERVERS)
    parser.add_argument('--base', choices=SERVERS)
    parser.add_argument('--cells', default='', metavar='PATTERN',
                        help='measure the cells whose titles match')
    parser.add_argument('--results', type=Path, metavar='FILE',
                        help='read and keep what was measured')
    arguments = parser.parse_args()
    print(http_load.conditions(arguments.seconds, arguments.rounds))
    names = [name for name in installed()
             if not arguments.only or name in arguments.only]
    base = arguments.base or names[0]
    cells = [cell for cell in (SHORT if arguments.short
                               else OTHERS if arguments.others else ALL)
             if re.search(arguments.cells, str(cell))]
    found = load(arguments.results)
    for cell in cells:
        runs: dict[str, list[Figures]] = {name: [] for name in names}
        for _, name in itertools.product(range(arguments.rounds), names):
            runs[name].append(http_load.measure(name, cell,
                                                arguments.seconds))
        found[cell] = found.get(cell, {}) | {
            name: http_load.median(each) for name, each in runs.items()}
        save(arguments.results, found)
        table(cell, found[cell], base)
    summary({cell: found[cell] for cell in (*ALL, *OTHERS) if cell in found},
            base)


if __name__ == '__main__':
    main()
