"""Addresses as text, and the addresses of an empty host."""
import socket
from types import SimpleNamespace

import psutil
import pytest
import zc.zk
from zc.zk import addresses


@pytest.mark.parametrize(('text', 'address'), [
    ('192.0.2.1:80', ('192.0.2.1', 80)),
    (':80', ('', 80)),
    ('host.example.com:0', ('host.example.com', 0)),
    ('[::1]:8080', ('::1', 8080)),
    ('[::]:65535', ('::', 65535)),
])
def test_parse_and_format(text, address):
    assert zc.zk.parse_addr(text) == address
    assert addresses.format_addr(*address) == text


@pytest.mark.parametrize(('text', 'why'), [
    ('host', 'HOST:PORT'), ('', 'HOST:PORT'), ('host:', 'HOST:PORT'),
    ('host:http', 'HOST:PORT'), ('host:65536', 'HOST:PORT'),
    ('host:-1', 'HOST:PORT'), ('host: 1', 'HOST:PORT'),
    ('host:\u0661', 'HOST:PORT'), ('::1:80', 'brackets'),
])
def test_parse_refuses(text, why):
    with pytest.raises(ValueError, match=why):
        zc.zk.parse_addr(text)


@pytest.mark.parametrize(('addr', 'names'), [
    (('192.0.2.1', 80), ('192.0.2.1:80',)),
    (['host', '80'], ('host:80',)),
    ('192.0.2.1:80', ('192.0.2.1:80',)),
    ('anything', ('anything',)),
    (('::1', 80), ('[::1]:80',)),
    (('::1', 80, 0, 0), ('[::1]:80',)),
    ('[::1]:80', ('[::1]:80',)),
])
def test_names_of_one_address(addr, names):
    assert addresses.node_names(addr) == names


@pytest.mark.parametrize('addr', ['', 'a/b', '.', '..', ('a/b', 80)])
def test_what_cannot_be_a_name(addr):
    with pytest.raises(ValueError, match='cannot be the name'):
        addresses.node_names(addr)


@pytest.fixture
def interfaces(monkeypatch):
    """Pretend that the machine has these addresses."""
    def interfaces(*hosts):
        found = {f'if{number}': [SimpleNamespace(
                     family=(socket.AF_INET6 if ':' in host
                             else socket.AF_INET), address=host)]
                 for number, host in enumerate(hosts)}
        monkeypatch.setattr(psutil, 'net_if_addrs', lambda: found)
    return interfaces


@pytest.mark.parametrize('addr', [('', 80), ':80', ('0.0.0.0', 80),
                                  '0.0.0.0:80'])
def test_an_empty_host(interfaces, addr):
    interfaces('127.0.0.1', '::1', '192.0.2.2', '192.0.2.1', '127.0.1.1',
               '2001:db8::1')
    assert addresses.node_names(addr) == ('192.0.2.1:80', '192.0.2.2:80')


@pytest.mark.parametrize('addr', [('', 80), ':80'])
def test_an_empty_host_without_a_network(interfaces, addr):
    interfaces('127.0.0.1', '::1', '127.0.1.1')
    assert addresses.node_names(addr) == ('127.0.0.1:80', '127.0.1.1:80')


@pytest.mark.parametrize('addr', [('::', 80), '[::]:80', ('::', 80, 0, 0)])
def test_every_ipv6_interface(interfaces, addr):
    interfaces('127.0.0.1', '::1', '192.0.2.2', '2001:db8::1', 'fe80::1%if0')
    assert addresses.node_names(addr) == ('[2001:db8::1]:80',)
    interfaces('127.0.0.1', '::1', '192.0.2.2', 'fe80::1%if0')
    assert addresses.node_names(addr) == ('[::1]:80',)


def test_without_any_address(interfaces):
    interfaces()
    with pytest.raises(ValueError, match='no address'):
        addresses.node_names(':80')


def test_this_machine():
    assert addresses.node_names(':80')
