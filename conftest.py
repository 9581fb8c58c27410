"""What holds for the tests of all four distributions."""
import logging
import os
import signal
import sys
import zlib
from collections.abc import Iterator
from itertools import chain
from itertools import groupby
from pathlib import Path

import hypothesis
import pytest
from zc.zk import loglimit

pytest_plugins = ['zc.zk.testing.fixtures']

# Processes that run the tests, unless there are fewer files.  Three for each
# of two cores: most tests wait for another process most of the time.
PROCESSES = 6

# Python processes that tests start have what the tests have: bin/test has its
# eggs from its own sys.path.  Tests of generated scripts take it away again.
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, sys.path))

# Tests start hundreds of Python processes.  Where the environment keeps them
# from writing bytecode beside the sources, pytest's cache has it.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(
        Path(__file__).with_name('.pytest_cache') / 'bytecode')
    os.environ['PYTHONPYCACHEPREFIX'] = sys.pycache_prefix
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)

# A shell makes a background process ignore Ctrl-C, and so would do the
# processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with SIGHUP.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How many examples hypothesis tries for a test.  Tests that want more or fewer
# multiply this number.  The profile is loaded here as pytest reads this file
# whichever tests are run.
EXAMPLES = {'quick': 40, 'deep': 1000}
for _name, _count in EXAMPLES.items():
    # No example has a time limit: a busy machine would exceed it.
    hypothesis.settings.register_profile(
        _name, max_examples=_count, deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile(
    os.environ.get('HYPOTHESIS_PROFILE', 'quick'))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests, for `-n auto`.

    0 means this process: for single tests, and for one file, as more
    processes take longer to start than most files take.
    """
    if config.option.collectonly or config.option.capture == 'no':
        return 0
    if any('::' in argument for argument in config.args):
        return 0
    files = {file for argument in config.args
             for file in _test_files(config.invocation_params.dir / argument)}
    return min(PROCESSES, len(files)) if len(files) > 1 else 0


def _test_files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from path.rglob('test_*.py')
    else:
        yield path


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config,
                                  items: list[pytest.Item]) -> None:
    """Mix the files where several processes run the tests.

    pytest-xdist gives each process as many tests, in their order, and at the
    end those of others.  In the order of the folders some minutes would be all
    computing, and the last ones all waiting.  The files whose tests wait most
    come first in each process, so that none waits alone at the end.  The tests
    of a file stay together, as they share fixtures.
    """
    if worker := getattr(config, 'workerinput', None):
        hands: list[list[pytest.Item]] = [
            [] for _ in range(worker['workercount'])]
        files = [list(tests) for _, tests in
                 groupby(items, lambda item: item.path)]
        # A mix that is the same in all processes, as it has to be.
        files.sort(key=lambda tests: (
            not _waits(tests), zlib.crc32(tests[0].path.name.encode())))
        for tests in files:
            min(hands, key=len).extend(tests)
        items[:] = chain(*hands)


def _waits(tests: list[pytest.Item]) -> bool:
    """Return whether the tests of a file wait for processes or the clock."""
    return (tests[0].path.parent.name in ('attacks', 'functional')
            or any(item.get_closest_marker('clock') for item in tests))


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """Restore the levels, handlers and limits of the process's loggers."""
    loglimit.reset()
    loggers = [logging.getLogger(name)
               for name in (None, 'kazoo', 'zc', 'zope')]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
