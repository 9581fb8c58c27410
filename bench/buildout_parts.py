"""Measure what a hundred server parts cost a buildout, beside plain scripts.

Buildouts with the same eggs run from scratch, and again with nothing changed,
in turns.  Their parts are of this recipe, or of zc.recipe.egg with a script
each.  The figures are CPU seconds, the least of all turns.  The row below a
whole run leaves out the cost of the first part.  The distributions of both
recipes have the metadata of a wheel.

A third kind of parts is of zc.recipe.egg, too, but from a distribution with
the requirements of ours: the least that any recipe in our distribution can
cost.  For each part buildout resolves the requirements of the recipe's
distribution twice, and writes them with those of all parts before it.

    bin/py bench/buildout_parts.py [--parts 100] [--turns 5]

The distributions are those that this script runs with.  No network is used.
Run it where buildout has put them into ``eggs`` (``pip install zc.buildout``
in a virtual environment, then ``buildout``).  In a checkout that bootstrap.py
has set up they are in site-packages, and the figures of zc.recipe.egg are
twice as large: the comparison would flatter us.
"""
from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))

from zkzopeserver_support.recipe_sandbox import EGG_ENTRY_POINTS
from zkzopeserver_support.recipe_sandbox import Store
from zkzopeserver_support.recipe_sandbox import required

OURS = """
[part-{number}]
recipe = zc.zkzopeserver
eggs =
    {eggs}
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /service-{number}/providers
"""

THEIRS = """
[part-{number}]
recipe = zc.recipe.egg
eggs =
    {eggs}
entry-points = part-{number}=zc.zkzopeserver.start:main
scripts = part-{number}
arguments = '/part-{number}.ini', 'part-{number}'
"""

# zc.recipe.egg, with our requirements.
LEAST = THEIRS.replace('recipe = zc.recipe.egg', 'recipe = leastrecipe')

KINDS = {'zc.recipe.egg': THEIRS, 'with our needs': LEAST,
         'zc.zkzopeserver': OURS}

BUILDOUT = """
[buildout]
parts = {parts}
offline = true
newest = false
develop-eggs-directory = {store.develop_eggs}
eggs-directory = {store.eggs}
"""

RUN = """\
import sys
sys.path[:0] = {path!r}
import zc.buildout.buildout
zc.buildout.buildout.main(['-U', '-q'])
"""


class Case:
    """A buildout with `count` parts of a kind."""

    def __init__(self, root: Path, store: Store, text: str, count: int,
                 eggs: str) -> None:
        self.root = root
        self.store = store
        root.mkdir()
        names = [f'part-{number}' for number in range(count)]
        (root / 'buildout.cfg').write_text(
            BUILDOUT.format(parts=' '.join(names), store=store)
            + ''.join(text.format(number=number, eggs=eggs)
                      for number in range(count)))

    def scratch(self) -> None:
        """Remove the files of an earlier run."""
        for name in 'bin', 'parts':
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / '.installed.cfg').unlink(missing_ok=True)

    def run(self) -> float:
        """Run buildout; return the CPU seconds that it took."""
        path = [str(self.store.develop_eggs),
                *(path for path in sys.path if os.path.isdir(path))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, '-c', RUN.format(path=path)],
                       cwd=self.root, check=True,
                       env={**os.environ, 'HOME': str(self.store.home)})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime
                - before.ru_utime - before.ru_stime)


def measure(cases: dict[str, Case], turns: int,
            ) -> dict[str, dict[str, float]]:
    """Return {case: {'from scratch': seconds, 'unchanged': seconds}}.

    The seconds are the least of all turns, as other work on the machine can
    only add to them.
    """
    taken: dict[str, dict[str, list[float]]] = {
        name: {'from scratch': [], 'unchanged': []} for name in cases}
    for _ in range(turns):
        for name, case in cases.items():
            case.scratch()
            taken[name]['from scratch'].append(case.run())
        for name, case in cases.items():
            taken[name]['unchanged'].append(case.run())
    return {name: {kind: min(seconds)
                   for kind, seconds in kinds.items()}
            for name, kinds in taken.items()}


def report(found: dict[str, dict[str, float]], parts: int) -> None:
    """Print a table, below the date and the machine."""
    print(f'{datetime.date.today()}, {os.cpu_count()} CPUs,'
          f' {platform.machine()}, Python {platform.python_version()}')
    print(f'{f"{parts} parts, CPU seconds":<26}'
          + ''.join(f'{name:>18}' for name in KINDS))
    for kind in 'from scratch', 'unchanged':
        whole = [found[f'{name}, all'][kind] for name in KINDS]
        print(row(kind, whole))
        print(row('  after the first part', [
            seconds - found[f'{name}, one'][kind]
            for name, seconds in zip(KINDS, whole, strict=True)]))


def row(title: str, seconds: Sequence[float]) -> str:
    """Return a line of the table, with ratios to the first figure."""
    return f'{title:<26}' + ''.join(
        f'{each:12.2f}{each / seconds[0]:6.2f}' for each in seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--parts', type=int, default=100)
    parser.add_argument('--turns', type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        store = Store(root / 'store', wheels=True)
        store.close()
        store.add('leastrecipe', '1.0', EGG_ENTRY_POINTS,
                  required('zc.zkzopeserver'))
        eggs = 'sandboxapp\n    zc.zkzopeserver[daemon]'
        cases = {
            f'{name}, {size}': Case(root / f'{name}-{size}', store, text,
                                    count, eggs)
            for name, text in KINDS.items()
            for size, count in (('one', 1), ('all', arguments.parts))}
        report(measure(cases, arguments.turns), arguments.parts)


if __name__ == '__main__':
    main()
