"""The fixtures that every other test relies on."""
import pytest
from kazoo.client import KazooState
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for


def test_each_test_has_a_chroot_of_its_own(zookeeper, client):
    assert zookeeper.connection_string == zookeeper.hosts + zookeeper.chroot
    inside = client()
    inside.create('/mine')
    assert inside.get_children('/') == ['mine']
    outside = client(zookeeper.hosts)
    assert outside.exists(zookeeper.chroot + '/mine')


def test_expire_ends_the_session_on_the_server(zookeeper, client):
    owner = client()
    states = []
    owner.add_listener(states.append)
    owner.create('/here', ephemeral=True)
    witness = client()
    zookeeper.expire(owner)
    assert not witness.exists('/here')
    wait_for(lambda: KazooState.LOST in states, message='LOST')


def test_server_comes_back_with_its_data(zookeeper_server, client):
    user = client()
    user.create('/kept', b'data')
    port = zookeeper_server.port
    zookeeper_server.restart()
    assert zookeeper_server.port == port
    assert user.retry(user.get, '/kept')[0] == b'data'


def test_paused_server_does_not_answer(zookeeper_server, client):
    user = client()
    states = []
    user.add_listener(states.append)
    zookeeper_server.pause()
    wait_for(lambda: KazooState.SUSPENDED in states, 20, 'SUSPENDED')
    zookeeper_server.resume()
    wait_for(lambda: user.connected, 20, 'the connection')


def test_killed_server_is_gone(zookeeper_server, client):
    user = client()
    zookeeper_server.kill()
    assert not zookeeper_server.is_running()
    assert zookeeper_server.pid is None
    wait_for(lambda: not user.connected, message='the connection to break')
    zookeeper_server.start()
    wait_for(lambda: user.connected, message='the connection')


def test_ensemble_elects_another_leader(ensemble, client):
    user = client()
    user.create('/kept')
    first = ensemble.kill_leader()
    assert ensemble.leader is not first
    assert user.retry(user.exists, '/kept')


def test_ensemble_is_whole_again(ensemble, client):
    assert [server.is_running() for server in ensemble.servers] == [True] * 3
    assert len(ensemble.followers) == 2
    user = client()
    assert ensemble.server_of(user) in ensemble.servers
    with pytest.raises(NoNodeError):
        user.get('/kept')
    ensemble.expire(user)


def test_ensemble_survives_a_hung_leader(ensemble, client):
    user = client(timeout=20.)
    first = ensemble.pause_leader()
    wait_for(lambda: ensemble.leader is not first, 30, 'a new leader')
    wait_for(lambda: user.connected, 30, 'the connection')


def test_no_leaks_lets_stopped_clients_pass(zookeeper, client, no_leaks):
    client().get_children('/')
