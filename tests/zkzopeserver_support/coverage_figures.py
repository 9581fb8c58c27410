"""Run the tests under coverage.py, and print a figure for each distribution.

``bin/coverage`` takes the arguments of ``bin/test``.  It measures lines and
branches, in the tests' processes and in the Python processes that they start.
``coverage html`` shows more: the data is in ``.coverage``.

coverage.py itself measures the processes that run tests.  Those that tests
start are recorded by `zkzopeserver_support.recorder`, which starts sooner.
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
import coverage.tracer
import pytest
import xdist

from zkzopeserver_support import recorder
from zkzopeserver_support.sources import ROOT
from zkzopeserver_support.sources import SOURCES
from zkzopeserver_support.sources import modules

CONFIGURATION = ROOT / '.coveragerc'
DATA = ROOT / '.coverage'
# Percent.  Whole runs have had 96 to 98, and some 93, as one of the processes
# was not measured from some test on.  Until that is understood, no more is
# asked for.
GOAL = 92

# coverage.py's own: the processes that run tests start it when they have it.
VARIABLE = 'COVERAGE_PROCESS_START'

# For those processes: the value that `recorder.VARIABLE` has in tests.
RECORDS = 'COVERAGE_RECORDS_OF_TESTS'

# site runs this line when a Python starts, twice where a folder is twice on
# the path; generated scripts, which have their eggs from nowhere else, are
# measured as well.  coverage.py has a line of its own for its own variable.
HOOK = ('import os, sys; exec("if {variable!r} in os.environ'
        ' and {module!r} not in sys.modules:'
        ' sys.path.insert(0, {folder!r}); import {module};'
        ' del sys.path[0]; {module}.start({package!r}, {sources!r})")\n')

# Fixtures whose servers are killed after the tests, and then leave no data.
KILLED = 'zookeeper', 'zookeeper_server', 'embedded'


def main() -> int:
    """Run the tests with the given arguments; return the exit status."""
    with tempfile.TemporaryDirectory(prefix='coverage-') as folder, hook():
        environ = {**os.environ, 'COVERAGE_FILE': f'{folder}/{DATA.name}',
                   VARIABLE: str(CONFIGURATION),
                   RECORDS: os.path.join(folder, 'records')}
        os.mkdir(environ[RECORDS])
        status = subprocess.call(
            [sys.executable, str(ROOT / 'bin' / 'test'), '-p', __spec__.name,
             *sys.argv[1:]], env=environ)
        measured = coverage.Coverage(str(DATA), config_file=str(CONFIGURATION))
        children = coverage.CoverageData(f'{folder}/{DATA.name}.children')
        children.add_arcs(recorder.read(environ[RECORDS]))
        measured.combine([folder])
        measured.save()
    # The figures are printed after failed tests, too.
    is_low = print_figures(measured)
    return status or is_low


def pytest_sessionstart(session: pytest.Session) -> None:
    """Do not measure the process that has others run the tests."""
    if xdist.is_xdist_controller(session):
        current().stop()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[object]:
    """Measure the imports of all tests in one of the processes only.

    Each imports all, and that takes three times as long when it is measured.
    """
    if xdist.get_xdist_worker_id(session) in ('master', 'gw0'):
        return (yield)
    measures = current()
    measures.stop()
    try:
        return (yield)
    finally:
        measures.start()


def current() -> coverage.Coverage:
    """Return what measures this process."""
    measures = coverage.Coverage.current()
    assert measures is not None
    return measures


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Record the processes of a test, but only once of one with ZooKeeper.

    On Apache ZooKeeper its processes run the same lines of ours as on the
    embedded server.
    """
    call = getattr(item, 'callspec', None)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE)
        if call is None or 'apache' not in (
                call.params.get('zookeeper'),
                call.params.get('zookeeper_server')):
            patch.setenv(recorder.VARIABLE, os.environ[RECORDS])
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef) -> Iterator[object]:
    """Do not slow servers down that leave no data."""
    with pytest.MonkeyPatch.context() as patch:
        if fixturedef.argname in KILLED:
            patch.delenv(recorder.VARIABLE, raising=False)
        return (yield)


@contextlib.contextmanager
def hook() -> Iterator[None]:
    """Have each Python process of this environment begin to record."""
    path = Path(sysconfig.get_path('purelib')) / 'zz-recorder.pth'
    module = Path(recorder.__file__)
    path.write_text(HOOK.format(
        variable=recorder.VARIABLE, module=module.stem,
        folder=str(module.parent),
        package=str(Path(coverage.__file__).parent),
        sources=tuple(f'{each}{os.sep}' for each in SOURCES.values())))
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
