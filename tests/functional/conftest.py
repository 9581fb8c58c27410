"""Fixtures for tests of the verbs: ``bin/web`` on two ZooKeepers."""
import pytest
import zc.zk.embedded
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH


@pytest.fixture
def web(zookeeper, tmp_path, tree):
    """``bin/web`` on the test's ZooKeeper."""
    with script(write_ini(tmp_path, zookeeper.connection_string,
                          monitor_server='127.0.0.1:0')) as made:
        yield made


@pytest.fixture
def gates(tmp_path):
    """The folder whose files make the moody application hang or sick."""
    folder = tmp_path / 'gates'
    folder.mkdir()
    return folder


@pytest.fixture(scope='module')
def embedded():
    """An embedded ZooKeeper for the tests that are about processes."""
    with zc.zk.embedded.Server(max_session_timeout=60_000) as server:
        with zc.zk.ZooKeeper(server.connection_string) as zk:
            zk.import_tree('/fooservice\n  /providers\n')
            server.zk = zk
            yield server


@pytest.fixture
def local(embedded, tmp_path):
    """A function: ``bin/web`` on that ZooKeeper.

    It takes options of the command line, and those of the ini by name.
    """
    made = []

    def make(*options, **ini):
        made.append(script(write_ini(
            tmp_path, embedded.connection_string, **ini), *options))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)
    wait_for(lambda: not embedded.zk.get_children(PATH), 15,
             'the nodes to go')
