"""sd_notify, against real datagram sockets."""
import os
import socket

import pytest

from zc.zkzopeserver import systemd


@pytest.fixture
def manager():
    """Return a socket in the role of systemd; tests bind it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        yield sock


def test_nobody_to_tell(monkeypatch):
    monkeypatch.delenv('NOTIFY_SOCKET', raising=False)
    assert not systemd.notify('READY=1')


def test_a_socket_in_the_file_system(manager, monkeypatch, tmp_path):
    path = str(tmp_path / 'notify')
    manager.bind(path)
    monkeypatch.setenv('NOTIFY_SOCKET', path)
    assert systemd.notify('READY=1\nSTATUS=here')
    assert manager.recv(100) == b'READY=1\nSTATUS=here'


def test_an_abstract_socket(manager, monkeypatch):
    name = f'zc.zkzopeserver.{os.getpid()}'
    manager.bind('\0' + name)
    monkeypatch.setenv('NOTIFY_SOCKET', '@' + name)
    assert systemd.notify('STOPPING=1')
    assert manager.recv(100) == b'STOPPING=1'


def test_a_socket_that_is_not_there_is_logged(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'none'))
    assert not systemd.notify('READY=1')
    assert 'cannot notify' in caplog.text


@pytest.mark.parametrize('microseconds, pid, interval', [
    ('30000000', None, 15), ('30000000', 'own', 15),
    ('30000000', '1', None), ('0', None, None), ('', None, None),
    ('soon', None, None),
])
def test_watchdog(monkeypatch, microseconds, pid, interval):
    monkeypatch.setenv('WATCHDOG_USEC', microseconds)
    monkeypatch.delenv('WATCHDOG_PID', raising=False)
    if pid:
        monkeypatch.setenv('WATCHDOG_PID',
                           str(os.getpid()) if pid == 'own' else pid)
    assert systemd.watchdog_interval_s() == interval
