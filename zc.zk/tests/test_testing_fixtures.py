"""Test the pytest fixtures."""
import os
import sys

import pytest
from kazoo.client import KazooState
from zc.zk.testing.clients import own_chroot
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for

pytest_plugins = ['pytester']


def test_each_test_has_a_chroot_of_its_own(zookeeper, client):
    assert zookeeper.connection_string == zookeeper.hosts + zookeeper.chroot
    inside = client()
    inside.create('/mine')
    assert inside.get_children('/') == ['mine']
    outside = client(zookeeper.hosts)
    assert outside.exists(zookeeper.chroot + '/mine')


def test_kinds_are_distinguished(zookeeper, client):
    assert zookeeper.name in ('embedded', 'apache')
    version = client().server_version()
    assert len(version) == 3


def test_chroots_are_removed(zookeeper, client):
    with own_chroot(zookeeper.servers) as another:
        client(another).create('/here')
    remaining = client(zookeeper.hosts).get_children('/')
    assert another.chroot[1:] not in remaining
    assert zookeeper.chroot[1:] in remaining


def test_expire_ends_the_session_on_the_server(zookeeper, client):
    owner = client()
    states = []
    owner.add_listener(states.append)
    owner.create('/here', ephemeral=True)
    witness = client()
    zookeeper.expire(owner)
    assert not witness.exists('/here')
    wait_for(lambda: KazooState.LOST in states, message='LOST')


@pytest.mark.clock
def test_a_client_that_is_cut_off_is_forgotten_soon(zookeeper, client):
    with Proxy(zookeeper.hosts) as proxy:
        owner = client(proxy.connection_string + zookeeper.chroot, timeout=6)
        owner.create('/here', ephemeral=True)
        witness = client()
        proxy.drop()
        wait_for(lambda: not witness.exists('/here'), 20, 'the node to go')
        proxy.heal()


def test_server_comes_back_with_its_data(zookeeper_server, client):
    user = client(timeout=2)
    user.create('/kept', b'data')
    port = zookeeper_server.port
    zookeeper_server.restart()
    assert zookeeper_server.port == port
    user = client()
    assert user.get('/kept')[0] == b'data'


def test_paused_server_does_not_answer(zookeeper_server, client):
    user = client(timeout=2)
    states = []
    user.add_listener(states.append)
    zookeeper_server.pause()
    wait_for(lambda: KazooState.SUSPENDED in states, 20, 'SUSPENDED')
    zookeeper_server.resume()
    wait_for(lambda: user.connected, 20, 'the connection')


def test_killed_server_is_gone(zookeeper_server, client):
    user = client(timeout=2)
    zookeeper_server.kill()
    assert zookeeper_server.pid is None
    wait_for(lambda: not user.connected, message='the connection to break')
    zookeeper_server.start()
    wait_for(lambda: user.connected, message='the connection')


def test_no_leaks_lets_stopped_clients_pass(zookeeper, client, no_leaks):
    client().get_children('/')


INNER = '''
    import pytest
    def test_here(zookeeper, client):
        client().create('/here')
    def test_three(ensemble):
        assert len(ensemble.servers) == 3
'''


@pytest.fixture
def inner(pytester, monkeypatch):
    """Return a test run that can have no Apache ZooKeeper."""
    pytester.makeconftest("pytest_plugins = ['zc.zk.testing.fixtures']")
    pytester.makepyfile(INNER)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv('ZOOKEEPER_HOME', '/nowhere')
    monkeypatch.delenv('ZC_ZK_REQUIRE_APACHE', raising=False)
    return pytester


def test_without_apache_the_tests_are_skipped_and_counted(inner):
    result = inner.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines([
        '2 tests skipped: $ZOOKEEPER_HOME is /nowhere, *',
        'to enable them: * -m zc.zk.testing.apache'])


def test_without_apache_but_required_they_are_errors(inner, monkeypatch):
    monkeypatch.setenv('ZC_ZK_REQUIRE_APACHE', '1')
    result = inner.runpytest_subprocess('-k', 'three')
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(['no Apache ZooKeeper: $ZOOKEEPER_HOME is*'])


def test_client_without_a_server_needs_a_connection_string(client):
    with pytest.raises(ValueError, match='needs a connection string'):
        client()
