"""CPU a request of two checkouts of this server, side by side.

``bin/py bench/http_paired.py BEFORE/bin/py AFTER/bin/py`` runs the server of
each checkout and asks both with wrk, in a random order, round after round.
It prints the mean of the ratios (after to before) of the starts, and its
standard error; the ratio of a start is the median of its rounds.

Shared machines change their speed within seconds, and one process is a little
faster than the next of the same program.  So both run at the same time, and
are started again a few times.
"""
from __future__ import annotations

import argparse
import contextlib
import math
import random
import re
import statistics
import sys
from pathlib import Path

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
from http_load import Cell
from http_load import Figures
from http_subjects import running

NAME = 'zc.zkzopeserver'
CELLS = (Cell('/hello', 1, 32), Cell('/hello', 4, 32), Cell('/large', 1, 32),
         Cell('/hello', 1, 32, is_browser=True), Cell('/hello', 1, 32, False))


def measure(cell: Cell, rounds: int, seconds: int,
            found: dict[str, list[Figures]]) -> None:
    """Start the servers of both, and add their figures of each round."""
    with contextlib.ExitStack() as servers:
        subjects = {}
        for python in found:
            script = Path(python).absolute().parents[1].joinpath(
                'bench', 'http_subjects.py')
            subjects[python] = servers.enter_context(running(
                NAME, cell.threads, python=python, script=str(script)))
        for subject in subjects.values():
            # A server is not at its best from the first request on.
            http_load.load(*subject, cell, 1)
        for _ in range(rounds):
            for python in random.sample(list(subjects), len(subjects)):
                found[python].append(http_load.load(
                    *subjects[python], cell, seconds))


def report(cell: Cell, rounds: int, before: list[Figures],
           after: list[Figures]) -> None:
    """Print a line about a cell; each start has `rounds` figures."""
    ratios = [new.cpu / old.cpu
              for old, new in zip(before, after, strict=True)]
    starts = [statistics.median(ratios[begin:begin + rounds])
              for begin in range(0, len(ratios), rounds)]
    old, new = http_load.median(before), http_load.median(after)
    print(f'{cell!s:55} CPU {old.cpu:7.2f} us {new.cpu:7.2f} us'
          f'  ratio {statistics.mean(starts):.3f}'
          f' +- {statistics.stdev(starts) / math.sqrt(len(starts)):.3f}'
          f'  errors {old.errors} {new.errors}', flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('before', help='an interpreter, such as OLD/bin/py')
    parser.add_argument('after')
    parser.add_argument('--starts', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=int, default=1)
    parser.add_argument('--cells', default='', metavar='PATTERN',
                        help='measure those that match, as lines name them')
    arguments = parser.parse_args()
    print(http_load.conditions(arguments.seconds, arguments.rounds)
          + f', started {arguments.starts} times')
    for cell in CELLS:
        if not re.search(arguments.cells, str(cell)):
            continue
        found: dict[str, list[Figures]] = {
            arguments.before: [], arguments.after: []}
        for _ in range(arguments.starts):
            measure(cell, arguments.rounds, arguments.seconds, found)
        report(cell, arguments.rounds, *found.values())


if __name__ == '__main__':
    main()
