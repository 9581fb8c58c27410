"""Registrations behind a network that fails in every way."""
import time

import pytest
import zc.zk
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for

PATH = '/providers'
NODE = PATH + '/192.0.2.7:8080'


@pytest.fixture
def proxy(zookeeper):
    with Proxy(zookeeper.hosts) as proxy:
        yield proxy


@pytest.fixture
def zk(zookeeper, proxy):
    with zc.zk.ZooKeeper(proxy.connection_string + zookeeper.chroot,
                         .6) as zk:
        yield zk


@pytest.fixture
def witness(client):
    witness = client()
    witness.create(PATH)
    return witness


FAULTS = {
    'drop': lambda proxy: proxy.drop(),
    'stall': lambda proxy: proxy.stall(),
    'to server': lambda proxy: proxy.half_open('to_server'),
    'to client': lambda proxy: proxy.half_open('to_client'),
}


@pytest.mark.parametrize('until', ['suspended', 'lost'])
@pytest.mark.parametrize('fault', FAULTS)
def test_network_cut(witness, zk, proxy, fault, until):
    """Shorter and longer than the session lasts."""
    registration = zk.register(PATH, '192.0.2.7:8080', a=1)
    FAULTS[fault](proxy)
    wait_for(lambda: registration.state == until, interval=.001)
    proxy.heal()
    healed = time.monotonic()
    wait_for(lambda: registration.state == 'registered')
    assert time.monotonic() - healed < 3
    assert witness.get_children(PATH) == ['192.0.2.7:8080']
    data, stat = witness.get(NODE)
    assert zc.zk.decode(data)['a'] == 1
    assert stat.ephemeralOwner == zk.client.client_id[0]
    # And it is watched again:
    witness.delete(NODE)
    wait_for(lambda: witness.exists(NODE))
    wait_for(lambda: registration.state == 'registered')


def test_a_reset_connection_changes_nothing(witness, zk, proxy):
    registration = zk.register(PATH, '192.0.2.7:8080')
    created = witness.exists(NODE).czxid
    session = zk.client.client_id[0]
    proxy.reset()
    wait_for(lambda: registration.state == 'suspended', interval=.001)
    wait_for(lambda: registration.state == 'registered')
    assert registration.reregistered == 0
    assert zk.client.client_id[0] == session
    assert witness.exists(NODE).czxid == created


def test_withdrawn_while_the_network_is_cut(witness, zk, proxy):
    registration = zk.register(PATH, '192.0.2.7:8080')
    proxy.drop()
    started = time.monotonic()
    assert not registration.withdraw(.1)
    assert time.monotonic() - started < 1
    proxy.heal()
    wait_for(lambda: not witness.exists(NODE))
