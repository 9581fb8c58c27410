"""Fixtures of all tests here: nothing may be left over by any of them."""
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zc.monitor
from zc.monitor.interfaces import IMonitorPlugin
from zc_monitor_support.support import Release
from zc_monitor_support.support import wait_for
from zope.component import getGlobalSiteManager
from zope.component import getUtilitiesFor

FDS = Path('/proc/self/fd')


def fd_count() -> int:
    """Return how many files are open, or 0 where that can't be known."""
    return len(os.listdir(FDS)) if FDS.exists() else 0


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """See that threads, files and commands are as they were before."""
    threads, fds = set(threading.enumerate()), fd_count()
    yield
    wait_for(lambda: not set(threading.enumerate()) - threads)
    wait_for(lambda: fd_count() <= fds)
    for name, command in list(getUtilitiesFor(IMonitorPlugin)):
        getGlobalSiteManager().unregisterUtility(
            command, IMonitorPlugin, name)


@pytest.fixture
def listener(no_leftovers: None) -> Iterator[zc.monitor.Listener]:
    """A listener on loopback, with the basic commands."""
    zc.monitor.register_basics()
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        yield listener


@pytest.fixture
def release(no_leftovers: None) -> Iterator[Release]:
    """A command `hang`, and the means to let it go."""
    release = Release()
    zc.monitor.register(release.hang, 'hang')
    yield release
    release.set()
