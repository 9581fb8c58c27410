"""Notifications to systemd, from real processes through real sockets."""
import socket

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.setblocking(False)
        self.environ = {'NOTIFY_SOCKET': str(path)}
        self.heard = []

    def has(self, word, count=1):
        """Return whether `word` has arrived, `count` times at least."""
        try:
            while True:
                self.heard += self.sock.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self.heard.count(word) >= count


@pytest.fixture
def manager(tmp_path):
    """A manager that listens."""
    found = Manager(tmp_path / 'notify')
    yield found
    found.sock.close()


def test_ready_when_registered_and_stopping(zookeeper, client, tmp_path,
                                            manager):
    tree = client()
    ini = write_ini(tmp_path, zookeeper.connection_string, wait='wait')
    with started(ini, **manager.environ) as process:
        wait_for(lambda: 'serving on' in process.output, 20)
        wait_for(lambda: 'waiting for it' in process.output, 20)
        assert not manager.has('READY=1')
        tree.ensure_path(PATH)
        wait_for(lambda: manager.has('READY=1'), 20)
        assert len(tree.get_children(PATH)) == 1
        assert not manager.has('STOPPING=1')
        assert process.stopped() == 0, process.output
        assert manager.has('STOPPING=1')


def test_to_serve_is_to_be_ready_with_wait_serve(tmp_path, manager):
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    ini = write_ini(tmp_path, nowhere, wait='serve')
    with started(ini, **manager.environ) as process:
        wait_for(lambda: manager.has('READY=1'), 20)
        assert process.stopped() == 0, process.output


def test_the_watchdog_is_fed_by_the_serving_loop(zookeeper, client,
                                                 tmp_path, manager):
    tree = client()
    tree.ensure_path(PATH)
    ini = write_ini(tmp_path, zookeeper.connection_string)
    with started(ini, WATCHDOG_USEC='100000', **manager.environ) as process:
        registered(tree, process)
        wait_for(lambda: manager.has('WATCHDOG=1', 3), 20)
        assert process.stopped() == 0, process.output
