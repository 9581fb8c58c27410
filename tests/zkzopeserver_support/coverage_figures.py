"""Run the tests under coverage.py, and print a figure for each distribution.

``bin/coverage`` takes the arguments of ``bin/test``.  It measures lines and
branches, in the tests' processes and in the Python processes that they start.
``coverage html`` shows more: the data is in ``.coverage``.
"""
from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import coverage
import coverage.exceptions
import pytest

from zkzopeserver_support.sources import ROOT
from zkzopeserver_support.sources import SOURCES
from zkzopeserver_support.sources import modules

CONFIGURATION = ROOT / '.coveragerc'
DATA = ROOT / '.coverage'
GOAL = 95  # percent
VARIABLE = 'COVERAGE_PROCESS_START'

# site runs this line when a Python starts; generated scripts, which have
# their eggs from nowhere else, are measured as well.
HOOK = ('import os, sys; exec("if \'COVERAGE_PROCESS_START\' in os.environ:'
        ' sys.path.append({path!r}); import coverage;'
        ' coverage.process_startup()")\n')


def main() -> int:
    """Run the tests with the given arguments; return the exit status."""
    with tempfile.TemporaryDirectory(prefix='coverage-') as folder, hook():
        environ = {**os.environ, 'COVERAGE_FILE': f'{folder}/{DATA.name}',
                   VARIABLE: str(CONFIGURATION)}
        status = subprocess.call(
            [sys.executable, str(ROOT / 'bin' / 'test'), '-p', __spec__.name,
             *sys.argv[1:]], env=environ)
        measured = coverage.Coverage(str(DATA), config_file=str(CONFIGURATION))
        measured.combine([folder])
        measured.save()
    # The figures are printed after failed tests, too.
    is_low = print_figures(measured)
    return status or is_low


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Measure only one of the two times that a test with ZooKeeper runs.

    On Apache ZooKeeper its processes run the same lines of ours as on the
    embedded server, and coverage.py takes longer to start than they need.
    """
    call = getattr(item, 'callspec', None)
    if call is None or 'apache' not in (call.params.get('zookeeper'),
                                        call.params.get('zookeeper_server')):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE)
        return (yield)


@contextlib.contextmanager
def hook() -> Iterator[None]:
    """Have each Python process of this environment start coverage.py."""
    path = Path(sysconfig.get_path('purelib')) / 'zz-coverage.pth'
    path.write_text(HOOK.format(path=str(Path(coverage.__file__).parents[1])))
    try:
        yield
    finally:
        path.unlink()


def print_figures(measured: coverage.Coverage) -> int:
    """Print what is covered; return 1 if it is less than `GOAL`."""
    figures = {}
    for distribution, folder in SOURCES.items():
        missing = {str(path) for path in modules(distribution).values()
                   if path.stat().st_size} - measured.get_data(
                   ).measured_files()
        for path in sorted(missing):
            print(f'not imported: {path}')
        try:
            figures[distribution] = measured.report(include=[f'{folder}/*'])
        except coverage.exceptions.NoDataError:
            figures[distribution] = 0
        print()
    for distribution, figure in figures.items():
        print(f'coverage of {distribution}: {figure:.1f} %')
    return int(min(figures.values()) < GOAL)


if __name__ == '__main__':
    sys.exit(main())
