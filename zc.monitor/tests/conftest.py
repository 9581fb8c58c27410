"""Fixtures of all tests of zc.monitor; no test may leave anything over."""
import os
import threading
from collections.abc import Callable
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
    """Return the number of open files, 0 on systems that do not list them."""
    return len(os.listdir(FDS)) if FDS.exists() else 0


def commands() -> dict[str, Callable]:
    """Return the registered commands by name."""
    return dict(getUtilitiesFor(IMonitorPlugin))


def unregister_commands() -> None:
    """Remove all registered commands."""
    for name in commands():
        getGlobalSiteManager().unregisterUtility(None, IMonitorPlugin, name)


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Begin without commands; threads, files and commands end as they began.

    Tests of other distributions in the same process may have left commands.
    """
    before = commands()
    unregister_commands()
    threads, fds = set(threading.enumerate()), fd_count()
    yield
    wait_for(lambda: not set(threading.enumerate()) - threads)
    wait_for(lambda: fd_count() <= fds)
    unregister_commands()
    for name, command in before.items():
        zc.monitor.register(command, name)


@pytest.fixture
def listener(no_leftovers: None) -> Iterator[zc.monitor.Listener]:
    """Yield a listener on the loopback address, with the basic commands."""
    zc.monitor.register_basics()
    with zc.monitor.Listener(('127.0.0.1', 0)) as listener:
        yield listener


@pytest.fixture
def release(no_leftovers: None) -> Iterator[Release]:
    """Register a command `hang`; yield what ends its calls."""
    release = Release()
    zc.monitor.register(release.hang, 'hang')
    yield release
    release.set()
