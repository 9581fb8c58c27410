"""What a hundred server parts cost a buildout, beside plain scripts.

Buildouts with the same eggs, with parts of this recipe and with parts of
zc.recipe.egg that make a script each, are run from scratch and again with
nothing changed, in turns.  The figures are CPU seconds, the least of all
turns; below those of whole runs stands what the further parts cost once there
is one.  Both recipes' distributions look as wheels leave them.

A third kind of parts is zc.recipe.egg's again, from a distribution that
requires what ours requires: the least that any recipe of ours can cost.  For
each part buildout resolves what its recipe's distribution requires, twice, and
writes it down with that of all parts before it.

    bin/py bench/buildout_parts.py [--parts 100] [--turns 5]

Distributions come from where this script runs; there is no network.
"""
from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

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
        """Remove what a run made."""
        for name in 'bin', 'parts':
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / '.installed.cfg').unlink(missing_ok=True)

    def run(self) -> float:
        """Run buildout; the CPU seconds that it took."""
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
    """The least of each case, ``from scratch`` and ``unchanged``.

    Other work on the machine only ever adds.
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
    """Print a table."""
    print(f'{f"{parts} parts, CPU seconds":<26}'
          + ''.join(f'{name:>18}' for name in KINDS))
    for kind in 'from scratch', 'unchanged':
        whole = [found[f'{name}, all'][kind] for name in KINDS]
        print(row(kind, whole))
        print(row('  after the first part', [
            seconds - found[f'{name}, one'][kind]
            for name, seconds in zip(KINDS, whole, strict=True)]))


def row(title: str, seconds: Sequence[float]) -> str:
    """A line of the table; ratios are to the first figure."""
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
