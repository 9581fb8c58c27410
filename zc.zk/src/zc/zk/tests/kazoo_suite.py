"""Run kazoo's own test-suite for its client on the embedded server.

::

    python -m zc.zk.tests.kazoo_suite [--runs N] [ARGUMENT OF PYTEST ...]

kazoo's package has its tests in it. Their harness starts Apache ZooKeeper
from Java; here it is given the embedded server in its place, one server
for all runs, by default two in a row. The exit status is pytest's, that of
the first run that fails.

The suite checks the client more than the server: the server's own tests
are those in ``test_embedded_*.py``. ``test_cache.py`` needs objgraph.
"""
import argparse
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

import pytest
from zc.zk.embedded import Server

#: What cannot apply, by node id and reason.
NOT_APPLICABLE = {
    'TestSSLClient': 'TLS',
    'TestReconfig': 'reconfiguration of an ensemble',
    'test_update_host_list': 'several servers',
    'TestReadOnlyMode': 'several servers',
    'TestLegacySASLDigestAuthentication': 'SASL',
    'TestSASLDigestAuthentication': 'SASL',
    'TestSASLGSSAPIAuthentication': 'SASL',
}

#: kazoo's clients ask for 10 and 15 seconds.
MAX_SESSION_TIMEOUT = 60_000


class Member:
    """What the harness knows as a server of a cluster."""

    running = True

    def __init__(self, server: Server) -> None:
        self._server = server
        self.address = self.secure_address = server.connection_string

    def run(self) -> None:
        """Serve."""
        self._server.resume()

    def stop(self) -> None:
        """Close connections and refuse new ones; forget nothing."""
        self._server.pause(refuse=True)


class Cluster(list):
    """What the harness knows as a cluster; this one always runs."""

    def start(self) -> None:
        """It does run."""

    stop = terminate = reset = start

    def get_logs(self) -> list:
        """The servers' logs, which pytest shows anyway."""
        return []


class Selection:
    """A plugin of pytest that leaves out what cannot apply."""

    def pytest_collection_modifyitems(self, config, items) -> None:
        """Deselect, so that the summary counts it."""
        kept, left_out = [], []
        for item in items:
            is_left_out = any(name in item.nodeid for name in NOT_APPLICABLE)
            (left_out if is_left_out else kept).append(item)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@contextmanager
def harness(server: Server) -> 'Iterator[None]':
    """Put the server in the place of the clusters of kazoo's harness."""
    common = types.ModuleType('kazoo.testing.common')
    common.ZookeeperCluster = lambda **options: Cluster([Member(server)])
    sys.modules[common.__name__] = common
    os.environ['ZOOKEEPER_VERSION'] = '3.8.0'
    yield
    del sys.modules[common.__name__]


def without_missing() -> 'list[str]':
    """Arguments that leave out the file whose helper is not installed."""
    if importlib.util.find_spec('objgraph'):
        return []
    return ['--ignore-glob=*/test_cache.py']


def run(runs: int, arguments: 'Sequence[str]') -> int:
    """Run the suite as often as told; pytest's exit status."""
    with Server(max_session_timeout=MAX_SESSION_TIMEOUT) as server:
        with harness(server):
            for _ in range(runs):
                status = pytest.main(
                    ['--pyargs', 'kazoo.tests', '-p', 'no:cacheprovider',
                     '-c', os.devnull, '-q', *without_missing(),
                     *arguments],
                    plugins=[Selection()])
                if status:
                    return int(status)
    return 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m zc.zk.tests.kazoo_suite',
        description="Run kazoo's tests on the embedded server.")
    parser.add_argument('--runs', type=int, default=2)
    options, arguments = parser.parse_known_args()
    sys.exit(run(options.runs, arguments))


if __name__ == '__main__':
    main()
