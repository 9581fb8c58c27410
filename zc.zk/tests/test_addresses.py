"""Addresses as text, and the addresses of an empty host."""
import ipaddress
import re
import socket
from types import SimpleNamespace

import psutil
import pytest
import zc.zk
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from zc.zk import addresses
from zc.zk.printable import printable


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


# A name that puts a server of its own into the configuration of nginx that is
# made from it without a check, and one that is a second command for HAProxy.
NGINX_BLOCK = ('127.0.0.1:1; } server { listen 127.0.0.1:21571; location ~ . '
               '{ return 200 owned; } } upstream x { server 127.0.0.1:1')
HAPROXY_COMMAND = 'add 127.0.0.1:9;show version'


@pytest.mark.parametrize(('text', 'address'), [
    ('192.0.2.1:80', ('192.0.2.1', 80)),
    ('127.0.0.1:65535', ('127.0.0.1', 65535)),
    ('[2001:DB8:0::7]:1', ('2001:db8::7', 1)),
    ('[::ffff:192.0.2.1]:8080', ('::ffff:192.0.2.1', 8080)),
    ('web1.example.com:8080', ('web1.example.com', 8080)),
    ('Web-1:8080', ('Web-1', 8080)),
    ('1e2:80', ('1e2', 80)),
    ('7eleven.example:80', ('7eleven.example', 80)),
    ('a' * 63 + '.b:80', ('a' * 63 + '.b', 80)),
])
def test_addresses_of_servers(text, address):
    assert zc.zk.parse_server_addr(text) == address


@pytest.mark.parametrize('text', [
    NGINX_BLOCK, HAPROXY_COMMAND,
    '', ':', ':80', 'host', 'host:', 'host:0', 'host:080', 'host:65536',
    'host:+80', 'host:\u0661', 'host:80\n', '\nhost:80', 'ho st:80',
    'host\0:80', 'h\xf6st:80', 'host_1:80', '-host:80', 'host-:80',
    'host.:80', '.host:80', 'a..b:80', '*:80', '$host:80', 'a/b:80',
    'a' * 64 + ':80', 'a.' * 127 + 'a:80', 'unix:/x:80',
    '1.2.3:80', '1.2.3.256:80', '010.0.0.1:80', '127.1:80', '2130706433:80',
    '0x7f.1:80', '0x7f000001:80', '1.2.3.4.5:80', '\uff11.2.3.4:80',
    '::1:80', '[::1:80', '::1]:80', '[]:80', '[127.0.0.1]:80', '[host]:80',
    '[fe80::1%eth0]:80', '[fe80::1%;evil]:80', '[::1]]:80', '[1::2::3]:80',
    '0.0.0.0:80', '[::]:80', '224.0.0.1:80', '[ff02::1]:80',
])
def test_what_is_no_address_of_a_server(text):
    shown = printable(text[:20]) or 'HOST:PORT'
    with pytest.raises(ValueError, match=re.escape(shown)) as info:
        zc.zk.parse_server_addr(text)
    assert str(info.value).isprintable()


def test_the_error_for_a_long_name_is_short():
    with pytest.raises(ValueError, match='HOST:PORT') as info:
        zc.zk.parse_server_addr('\0' * 10 ** 6)
    assert len(str(info.value)) < 500


@given(st.text() | st.from_regex(
    r'(\[[0-9a-f:.%]{0,20}\]|[0-9a-fx.:-]{0,20})(:[0-9]{0,6})?',
    fullmatch=True))
@example('1.2.3.4:80')
def test_an_address_has_only_characters_that_are_safe_anywhere(text):
    try:
        host, port = zc.zk.parse_server_addr(text)
    except ValueError:
        return
    assert re.fullmatch('[0-9A-Za-z.:-]+', host)
    assert 0 < port < 65536
    name = addresses.format_addr(host, port)
    assert zc.zk.parse_server_addr(name) == (host, port)
    assert zc.zk.parse_addr(name) == (host, port)


@given(st.ip_addresses() | st.ip_addresses(network='::ffff:0:0/96'),
       st.integers(1, 65535))
@example(ipaddress.ip_address('::ffff:0.0.0.0'), 80)
@example(ipaddress.ip_address('::ffff:224.0.0.1'), 80)
@example(ipaddress.ip_address('::ffff:192.0.2.1'), 80)
def test_ip_addresses_are_canonical(address, port):
    forms = {str(address), address.exploded}
    if address.version == 6:
        forms = {f'[{form}]' for form in forms | {address.exploded.upper()}}
    for form in forms:
        text = f'{form}:{port}'
        # Only Python 3.13 and newer look at this address themselves.
        target = getattr(address, 'ipv4_mapped', None) or address
        if target.is_unspecified or target.is_multicast:
            with pytest.raises(ValueError, match='address'):
                zc.zk.parse_server_addr(text)
        else:
            host, found = zc.zk.parse_server_addr(text)
            assert ipaddress.ip_address(host) == address
            assert found == port


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
