"""Test the choice of ports."""
import socket

from zc.zk.testing.ports import RANGE
from zc.zk.testing.ports import free_port
from zc.zk.testing.ports import free_ports
from zc.zk.testing.ports import is_free


def test_a_free_port_can_be_listened_on():
    port = free_port()
    assert port in RANGE
    with socket.create_server(('127.0.0.1', port)):
        assert not is_free(port)
    assert is_free(port)


def test_ports_differ():
    assert len(set(free_ports(30))) == 30
