"""HOST:PORT, and what is registered in place of the bound address."""
import socket

import psutil
import pytest

from zc.zkzopeserver import addresses
from zc.zkzopeserver.errors import ConfigurationError

ZOOKEEPER = '127.0.0.1:2181'


@pytest.mark.parametrize('advertise, bound, registered', [
    (None, ('', 8080), ('', 8080)),
    (None, ('::1', 8080, 0, 0), ('::1', 8080)),
    ('www.example.com', ('', 8080), ('www.example.com', 8080)),
    ('www.example.com:80', ('', 8080), ('www.example.com', 80)),
    ('10.0.0.1', ('', 8080), ('10.0.0.1', 8080)),
    ('2001:db8::1', ('', 8080), ('2001:db8::1', 8080)),
    ('[2001:db8::1]', ('', 8080), ('2001:db8::1', 8080)),
    ('[2001:db8::1]:80', ('', 8080), ('2001:db8::1', 80)),
    ('route', ('', 8080), ('127.0.0.1', 8080)),
])
def test_advertised(advertise, bound, registered):
    assert addresses.advertised_address(
        advertise, bound, ZOOKEEPER) == registered


def loopback():
    return next(name for name, found in psutil.net_if_addrs().items()
                if any(each.address == '127.0.0.1' for each in found))


def test_interface():
    assert addresses.advertised_address(
        f'interface:{loopback()}', ('', 80), ZOOKEEPER) == ('127.0.0.1', 80)


def test_an_interface_that_is_not_there():
    with pytest.raises(ConfigurationError) as caught:
        addresses.check_advertise('interface:nosuch0')
    assert str(caught.value).startswith(
        "option 'advertise': there is no interface 'nosuch0'; there are ")
    assert loopback() in str(caught.value)


def test_the_route_tries_one_server_after_the_other():
    assert addresses.route_host(
        'zookeeper.invalid:2181,127.0.0.1:2181/root') == '127.0.0.1'


def test_no_route():
    with pytest.raises(ConfigurationError, match='no route to ZooKeeper'):
        addresses.route_host('zookeeper.invalid:2181')


@pytest.mark.skipif(not socket.has_ipv6, reason='no IPv6 on this machine')
def test_the_route_over_ipv6():
    assert addresses.route_host('[::1]:2181') == '::1'
