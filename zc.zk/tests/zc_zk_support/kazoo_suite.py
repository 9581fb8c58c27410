"""Run kazoo's own test-suite for its client on the embedded server.

::

    python -m zc_zk_support.kazoo_suite [--runs N] [--only MODULE]
        [ARGUMENT OF PYTEST ...]

kazoo's package includes its tests. Their harness starts Apache ZooKeeper. This
module gives it the embedded server instead: one server for all runs. There are
two runs by default, each in a process of its own, as some tests count objects.
The exit status is pytest's, of the first run that fails.

The suite tests the client more than the server. The server's own tests are
``test_embedded_*.py``. ``test_cache.py`` needs objgraph, and the tests of the
gevent and eventlet handlers need gevent and eventlet.
"""
import argparse
import importlib.util
import multiprocessing
import os
import sys
import types
from collections.abc import Sequence
from multiprocessing.connection import Connection

import pytest
from zc.zk.embedded import Server

#: The tests that cannot apply, by a part of their node id, and the reason.
NOT_APPLICABLE = {
    'TestSSLClient': 'TLS',
    'TestReconfig': 'reconfiguration of an ensemble',
    'TestReadOnlyMode': 'several servers',
    'test_update_host_list': 'several servers',
    'TestLegacySASLDigestAuthentication': 'SASL',
    'TestSASLDigestAuthentication': 'SASL',
    'TestSASLGSSAPIAuthentication': 'SASL',
    # It cuts the connection while a request is in flight, and assumes that
    # the answer is not there yet. The embedded server is often faster.
    'test_connection_dropped': 'a race that a fast server wins',
}

#: kazoo's clients ask for session timeouts of 10 and 15 seconds.
MAX_SESSION_TIMEOUT = 60_000

RUN, STOP = 'run', 'stop'


class Member:
    """The embedded server, as a server of the harness's cluster."""

    running = True

    def __init__(self, address: str, control: Connection) -> None:
        self.address = self.secure_address = address
        self._control = control

    def run(self) -> None:
        """Start to serve."""
        self._ask(RUN)

    def stop(self) -> None:
        """Close connections and refuse new ones; keep nodes and sessions."""
        self._ask(STOP)

    def _ask(self, what: str) -> None:
        self._control.send(what)
        self._control.recv()


class Cluster(list):
    """The harness's cluster, of one server that always runs."""

    def start(self) -> None:
        """Do nothing: the server runs already."""

    stop = terminate = reset = start

    def get_logs(self) -> list:
        """Return no logs: pytest shows those of the server."""
        return []


class Selection:
    """A pytest plugin that deselects tests that cannot apply."""

    def pytest_collection_modifyitems(self, config, items) -> None:
        """Deselect tests, so that the summary counts them."""
        kept, left_out = [], []
        for item in items:
            is_left_out = any(name in item.nodeid for name in NOT_APPLICABLE)
            (left_out if is_left_out else kept).append(item)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def run(runs: int, arguments: Sequence[str]) -> int:
    """Run the suite `runs` times; return pytest's exit status."""
    with Server(max_session_timeout=MAX_SESSION_TIMEOUT) as server:
        for _ in range(runs):
            status = _run_once(server, arguments)
            if status:
                return status
    return 0


def _run_once(server: Server, arguments: Sequence[str]) -> int:
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_in_child, args=(server.connection_string, theirs, arguments))
    process.start()
    theirs.close()
    actions = {
        RUN: server.resume,
        STOP: lambda: server.pause(refuse=True),
    }
    try:
        while True:
            actions[ours.recv()]()
            ours.send(None)
    except EOFError:  # the process has ended
        process.join()
        return process.exitcode
    finally:
        ours.close()


def _in_child(
    address: str, control: Connection, arguments: Sequence[str],
) -> None:
    common = types.ModuleType('kazoo.testing.common')
    common.ZookeeperCluster = lambda **options: Cluster(
        [Member(address, control)])
    sys.modules[common.__name__] = common
    os.environ['ZOOKEEPER_VERSION'] = '3.8.0'
    sys.exit(pytest.main(
        ['-p', 'no:cacheprovider', '-c', os.devnull, '-q',
         *_without_missing(), *arguments],
        plugins=[Selection()]))


def _without_missing() -> list[str]:
    if importlib.util.find_spec('objgraph'):
        return []
    folder = importlib.util.find_spec('kazoo').submodule_search_locations[0]
    return [f'--ignore={folder}/tests/test_cache.py']


def main() -> None:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m zc_zk_support.kazoo_suite',
        description="Run kazoo's tests on the embedded server.",
        epilog='Other arguments are for pytest.')
    parser.add_argument('--runs', type=int, default=2)
    parser.add_argument(
        '--only', metavar='MODULE', help='of kazoo.tests, as test_client')
    options, arguments = parser.parse_known_args()
    tests = 'kazoo.tests'
    if options.only:
        tests += '.' + options.only
    sys.exit(run(options.runs, ['--pyargs', tests, *arguments]))


if __name__ == '__main__':
    main()
