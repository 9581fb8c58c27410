"""pytest fixtures for tests that use ZooKeeper.

Use them with ``pytest_plugins = ['zc.zk.testing.fixtures']`` in the top
``conftest.py``. A test with the fixture ``zookeeper`` runs twice: on the
embedded server and on an Apache ZooKeeper.
"""
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from typing import Protocol

import pytest
from kazoo.client import KazooClient
from zc.zk.testing import apache
from zc.zk.testing import leaks
from zc.zk.testing.clients import Chroot
from zc.zk.testing.clients import own_chroot
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded
from zc.zk.testing.ensemble import Ensemble
from zc.zk.testing.process import ServerProcess

#: The environment variable that makes tests fail, and not be skipped, when
#: there is no Apache ZooKeeper.
REQUIRE_VARIABLE = 'ZC_ZK_REQUIRE_APACHE'

KINDS = ('embedded', 'apache')
SKIPPED = 'no Apache ZooKeeper: '


class Reachable(Protocol):
    """Servers that have a connection string."""

    @property
    def connection_string(self) -> str:
        """``HOST:PORT`` of all servers, and a chroot."""


class ServerPool:
    """The servers that tests share, by kind; each starts at its first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, ServerProcess] = {}

    def get(self, kind: str) -> ServerProcess:
        """Return the running server of a kind."""
        if kind not in self.servers:
            server = make_server(kind, self.folder / kind)
            server.start()
            self.servers[kind] = server
        return self.servers[kind]

    def close(self) -> None:
        """Kill all servers."""
        for server in self.servers.values():
            server.kill()


def make_server(kind: str, folder: Path) -> ServerProcess:
    """Return a server that is not started; see `require_apache`."""
    if kind == 'embedded':
        return Embedded(folder)
    return apache.Apache(folder, require_apache())


def require_apache() -> apache.Installation:
    """Return an Apache ZooKeeper; without one, skip or fail the test."""
    found = _obtain()
    if isinstance(found, apache.Installation):
        return found
    if os.environ.get(REQUIRE_VARIABLE):
        raise pytest.fail.Exception(f'{SKIPPED}{found}', pytrace=False)
    raise pytest.skip.Exception(f'{SKIPPED}{found}')


@cache
def _obtain() -> apache.Installation | str:
    """Find or fetch it, once in a test run; else return why that failed."""
    try:
        return apache.obtain()
    except apache.Unavailable as error:
        return str(error)


@pytest.fixture(scope='session')
def zookeeper_pool(tmp_path_factory: pytest.TempPathFactory
                   ) -> Iterator[ServerPool]:
    """Yield the servers that tests share."""
    pool = ServerPool(tmp_path_factory.mktemp('zookeeper'))
    yield pool
    pool.close()


@pytest.fixture(params=KINDS)
def zookeeper(request: pytest.FixtureRequest,
              zookeeper_pool: ServerPool) -> Iterator[Chroot]:
    """Yield a running, shared ZooKeeper, below a chroot of the test's own."""
    with own_chroot(zookeeper_pool.get(request.param)) as chroot:
        yield chroot


@pytest.fixture(params=KINDS)
def zookeeper_server(request: pytest.FixtureRequest,
                     tmp_path_factory: pytest.TempPathFactory
                     ) -> Iterator[ServerProcess]:
    """Yield a running server of the test's own, to stop, kill and pause."""
    folder = tmp_path_factory.mktemp('zookeeper-server')
    server = make_server(request.param, folder)
    server.start()
    yield server
    server.kill()  # faster than `stop`


@pytest.fixture(scope='module')
def zookeeper_ensemble(tmp_path_factory: pytest.TempPathFactory
                       ) -> Iterator[Ensemble]:
    """Yield the three servers that the tests of a module share."""
    installation = require_apache()
    folder = tmp_path_factory.mktemp('zookeeper-ensemble')
    with Ensemble(folder, installation) as ensemble:
        yield ensemble


@pytest.fixture
def ensemble(zookeeper_ensemble: Ensemble) -> Iterator[Ensemble]:
    """Yield a real ensemble of three, with a chroot of the test's own.

    Afterwards, restart the servers that the test stopped or paused.
    """
    zookeeper_ensemble.heal()
    with own_chroot(zookeeper_ensemble) as chroot:
        zookeeper_ensemble.chroot = chroot.chroot
        yield zookeeper_ensemble
        zookeeper_ensemble.heal()
    zookeeper_ensemble.chroot = ''


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Callable]:
    """Yield a function that starts KazooClients; stop them after the test.

    ``client()`` connects to the test's ZooKeeper, and ``client(SERVER)`` or
    ``client(CONNECTION_STRING)`` to another one. More arguments by name are
    KazooClient's.
    """
    clients = []

    def start(where: str | Reachable | None = None,
              **options: object) -> KazooClient:
        where = where or _servers(request)
        if where is None:
            raise ValueError('client() needs a connection string in a test'
                             ' that uses none of the fixtures zookeeper,'
                             ' zookeeper_server and ensemble')
        clients.append(start_client(
            where if isinstance(where, str) else where.connection_string,
            **options))
        return clients[-1]

    # Set up before, to be torn down after the clients.
    _servers(request)
    if 'no_leaks' in request.fixturenames:
        request.getfixturevalue('no_leaks')
    yield start
    for started in reversed(clients):
        stop_client(started)


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves threads, descriptors or children behind.

    Fixtures that come after this one are part of the test, and ``client``
    always is.
    """
    _servers(request)  # their resources are not the test's
    with leaks.no_leaks():
        yield


def _servers(request: pytest.FixtureRequest) -> Reachable | None:
    """Return the ZooKeeper that the test asked for, None without one."""
    for name in ('zookeeper', 'zookeeper_server', 'ensemble'):
        if name in request.fixturenames:
            return request.getfixturevalue(name)
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, as tests have a timeout."""
    config = session.config
    if config.option.collectonly or not any(map(_needs_apache, session.items)):
        return
    if not _is_there():
        _say(config, f'fetching Apache ZooKeeper into {apache.parts_folder()}'
                     ' ...')
    _obtain()


def _is_there() -> bool:
    try:
        return apache.find() is not None
    except apache.Unavailable:
        return True  # a variable names a wrong folder: nothing to fetch


def pytest_terminal_summary(
        terminalreporter: Any) -> None:
    """Print how many tests had no Apache ZooKeeper, and how to get it."""
    reasons = [report.longrepr[2].partition(SKIPPED)
               for report in terminalreporter.stats.get('skipped', ())
               if isinstance(report.longrepr, tuple)]
    reasons = [reason for _, found, reason in reasons if found]
    if reasons:
        terminalreporter.section('Apache ZooKeeper')
        terminalreporter.write_line(
            f'{len(reasons)} tests skipped: {reasons[0]}')
        terminalreporter.write_line(f'to enable them: {apache.command()}')


def _needs_apache(item: pytest.Item) -> bool:
    if 'zookeeper_ensemble' in getattr(item, 'fixturenames', ()):
        return True
    call = getattr(item, 'callspec', None)
    return call is not None and 'apache' in call.params.values()


def _say(config: pytest.Config, line: str) -> None:
    """Write a line to the terminal, from a process of pytest-xdist as well.

    The first of these speaks for all.
    """
    if getattr(config, 'workerinput', {}).get('workerid', 'gw0') != 'gw0':
        return
    manager = config.pluginmanager.get_plugin('capturemanager')
    with manager.global_and_fixture_disabled():
        print(line, file=sys.stderr, flush=True)
