"""pytest fixtures for tests that talk to ZooKeeper.

Use them with ``pytest_plugins = ['zc.zk.testing.fixtures']`` in the top
``conftest.py``.  A test that asks for ``zookeeper`` runs twice: on the
embedded server and on a real one.
"""
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from zc.zk.testing import apache
from zc.zk.testing import leaks
from zc.zk.testing.clients import Chroot
from zc.zk.testing.clients import own_chroot
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded
from zc.zk.testing.ensemble import Ensemble
from zc.zk.testing.process import ServerProcess

#: When this is set and not empty, a test on Apache ZooKeeper that cannot run
#: fails instead of being skipped.
REQUIRE_VARIABLE = 'ZC_ZK_REQUIRE_APACHE'

KINDS = ('embedded', 'apache')
SKIPPED = 'no Apache ZooKeeper: '


class ServerPool:
    """The servers that tests share, each started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, ServerProcess] = {}

    def get(self, kind: str) -> ServerProcess:
        """Return the running server of the kind."""
        if kind not in self.servers:
            server = make_server(kind, self.folder / kind)
            server.start()
            self.servers[kind] = server
        return self.servers[kind]

    def close(self) -> None:
        """End them all; what they hold is not needed any more."""
        for server in self.servers.values():
            server.kill()


def make_server(kind: str, folder: Path) -> ServerProcess:
    """Return a server of the kind, not started; skip the test without one."""
    if kind == 'embedded':
        return Embedded(folder)
    return apache.Apache(folder, require_apache())


def require_apache() -> apache.Installation:
    """Return an Apache ZooKeeper; without one skip the test, or fail."""
    found = _obtain()
    if isinstance(found, apache.Installation):
        return found
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(f'{SKIPPED}{found}', pytrace=False)
    pytest.skip(f'{SKIPPED}{found}')


@cache
def _obtain() -> apache.Installation | str:
    """Find or fetch it, or say why not; tried once in a test run."""
    try:
        return apache.obtain()
    except apache.Unavailable as error:
        return str(error)


@pytest.fixture(scope='session')
def zookeeper_pool(tmp_path_factory: pytest.TempPathFactory
                   ) -> Iterator[ServerPool]:
    """The servers that tests share."""
    pool = ServerPool(tmp_path_factory.mktemp('zookeeper'))
    yield pool
    pool.close()


@pytest.fixture(params=KINDS)
def zookeeper(request: pytest.FixtureRequest,
              zookeeper_pool: ServerPool) -> Iterator[Chroot]:
    """A running ZooKeeper, shared, under a chroot that the test has alone."""
    with own_chroot(zookeeper_pool.get(request.param)) as chroot:
        yield chroot


@pytest.fixture(params=KINDS)
def zookeeper_server(request: pytest.FixtureRequest,
                     tmp_path_factory: pytest.TempPathFactory
                     ) -> Iterator[ServerProcess]:
    """A running server that the test has alone, to stop, kill and pause."""
    folder = tmp_path_factory.mktemp('zookeeper-server')
    server = make_server(request.param, folder)
    server.start()
    yield server
    server.kill()  # quicker than an orderly end


@pytest.fixture(scope='module')
def zookeeper_ensemble(tmp_path_factory: pytest.TempPathFactory
                       ) -> Iterator[Ensemble]:
    """The three servers that the tests of a module share."""
    installation = require_apache()
    folder = tmp_path_factory.mktemp('zookeeper-ensemble')
    with Ensemble(folder, installation) as ensemble:
        yield ensemble


@pytest.fixture
def ensemble(zookeeper_ensemble: Ensemble) -> Iterator[Ensemble]:
    """A real ensemble of three; the test has a chroot of its own.

    What the test did to its servers is made good afterwards.
    """
    zookeeper_ensemble.heal()
    with own_chroot(zookeeper_ensemble) as chroot:
        zookeeper_ensemble.chroot = chroot.chroot
        yield zookeeper_ensemble
        zookeeper_ensemble.heal()
    zookeeper_ensemble.chroot = ''


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Callable]:
    """A function that returns started KazooClients, stopped after the test.

    ``client()`` is one on the test's ZooKeeper; ``client(CONNECTION_STRING)``
    one elsewhere; more arguments by name are KazooClient's.
    """
    clients = []

    def start(where: object = None, **options: object):
        where = where or _servers(request)
        string = getattr(where, 'connection_string', where)
        clients.append(start_client(string, **options))
        return clients[-1]

    # First, so that they are still there when the clients stop.
    _servers(request, missing_ok=True)
    if 'no_leaks' in request.fixturenames:
        request.getfixturevalue('no_leaks')
    yield start
    for started in reversed(clients):
        stop_client(started)


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves threads, descriptors or children behind.

    Other fixtures are looked at when they come after this one; ``client``
    always is.
    """
    _servers(request, missing_ok=True)  # theirs are not the test's
    with leaks.no_leaks():
        yield


def _servers(request: pytest.FixtureRequest, missing_ok: bool = False):
    """Return the ZooKeeper that the test asked for."""
    for name in ('zookeeper', 'zookeeper_server', 'ensemble'):
        if name in request.fixturenames:
            return request.getfixturevalue(name)
    if not missing_ok:
        raise ValueError('client() needs a connection string in a test that'
                         ' uses none of the fixtures zookeeper,'
                         ' zookeeper_server and ensemble')


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, whose time is bounded."""
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
        return True  # misplaced: there is nothing to be fetched


def pytest_terminal_summary(terminalreporter) -> None:
    """Say how many tests had no Apache ZooKeeper, and how to get it."""
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
