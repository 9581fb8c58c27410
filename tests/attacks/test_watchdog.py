"""systemd's watchdog is not fed while no thread keeps the registration."""
import socket
import time

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.running import PATH
from zope_server_support.applications import hello

from zc.zkzopeserver import options
from zc.zkzopeserver.service import Service

INTERVAL_S = 0.02


@pytest.fixture
def fed(tmp_path, monkeypatch):
    """A function that returns how often the watchdog has been fed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / 'notify'))
        manager.setblocking(False)
        monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'notify'))
        monkeypatch.setenv('WATCHDOG_USEC', str(int(2e6 * INTERVAL_S)))
        monkeypatch.delenv('WATCHDOG_PID', raising=False)
        heard = []

        def fed():
            try:
                while True:
                    heard.append(manager.recv(4096))
            except BlockingIOError:
                return heard.count(b'WATCHDOG=1')

        yield fed


@pytest.mark.clock
def test_a_registration_that_no_thread_keeps(zookeeper, tree, fed):
    service = Service(options.parse({
        'zookeeper': zookeeper.connection_string, 'path': PATH,
        'host': '127.0.0.1', 'deregister_wait': '0'}, ''), hello)
    service.start()
    try:
        assert service.registered.wait(20)
        before = fed()
        wait_for(lambda: fed() > before + 3)
        zk = service.parts.registration._zk
        zk._registrar._tasks.close()  # its thread ends
        time.sleep(5 * INTERVAL_S)  # what was begun
        before = fed()
        time.sleep(10 * INTERVAL_S)
        assert fed() == before
    finally:
        service.stop()
