"""Fixtures for the tests of all three distributions."""
import logging
import os
import signal
import sys

import hypothesis
import pytest

pytest_plugins = ['zc.zk.testing.fixtures']

# Python processes that tests start have what the tests have: bin/test has its
# eggs from its own sys.path.  Tests of generated scripts take it away again.
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, sys.path))

# A shell has what runs in the background ignore Ctrl-C, and so would the
# processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on a time: on a machine that stalls an example takes long
# that never does elsewhere.  Here, as this file is read whichever tests are
# run, and by ours alone.  The rest is as hypothesis has it, in CI as well.
hypothesis.settings.register_profile(
    'no times', deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile('no times')


@pytest.fixture(autouse=True)
def unchanged_logging():
    """What a test sets up of the process's logging goes with it."""
    loggers = [logging.getLogger(name)
               for name in (None, 'kazoo', 'zc', 'zope')]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
