"""Fixtures that several tests of zc.zkzopeserver need."""
import contextlib
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from zc.zk.testing.clients import Chroot
from zc.zk.testing.clients import own_chroot
from zc.zk.testing.fixtures import ServerPool
from zkzopeserver_support.running import PATH


@pytest.fixture
def tree(client: Callable, zookeeper: Chroot) -> KazooClient:
    """Return a ZooKeeper client; the providers node `PATH` is there.

    Its session outlives the faults that tests cause.
    """
    tree = client(timeout=30.)
    tree.ensure_path(PATH)
    return tree


@pytest.fixture
def embedded(zookeeper_pool: ServerPool) -> Iterator[Chroot]:
    """Yield an embedded ZooKeeper, for tests that need no other."""
    with own_chroot(zookeeper_pool.get('embedded')) as chroot:
        yield chroot


@pytest.fixture
def embedded_tree(embedded: Chroot, client: Callable) -> KazooClient:
    """Return a client of `embedded`; the providers node `PATH` is there."""
    tree = client(embedded)
    tree.ensure_path(PATH)
    return tree


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Yield a folder whose path is shorter than that of `tmp_path`.

    The path of a Unix socket has at most 107 bytes (unix(7)), and zdaemon
    appends a few.
    """
    with tempfile.TemporaryDirectory(prefix='zk') as folder:
        yield Path(folder)


@pytest.fixture(scope='session')
def store(tmp_path_factory):
    """Distributions for buildouts, which tests leave as they are.

    Its process takes a second of CPU time to start.
    """
    # Imported here: most tests do without the recipe.
    from zkzopeserver_support.recipe_sandbox import Store
    with contextlib.closing(Store(tmp_path_factory.mktemp('store'))) as made:
        yield made


@pytest.fixture
def sandbox(store, tmp_path):
    """A buildout directory with the distributions of `store`."""
    from zkzopeserver_support.recipe_sandbox import Sandbox
    return Sandbox(tmp_path, store)
