"""Test the ensemble: its leader, faults and repair."""
import pytest
from kazoo.client import KazooState
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for


def test_elects_another_leader(ensemble, client):
    user = client()
    user.create('/kept')
    first = ensemble.kill_leader()
    assert ensemble.leader is not first
    assert user.retry(user.exists, '/kept')


def test_is_whole_again_and_empty_for_the_next_test(ensemble, client):
    assert [server.is_running() for server in ensemble.servers] == [True] * 3
    assert len(ensemble.followers) == 2
    with pytest.raises(NoNodeError):
        client().get('/kept')


def test_server_of_a_client(ensemble, client):
    user = client()
    states = []
    user.add_listener(states.append)
    server = ensemble.server_of(user)
    server.kill()
    wait_for(lambda: KazooState.SUSPENDED in states, message='SUSPENDED')
    assert user.retry(user.exists, '/')
    assert ensemble.server_of(user) is not server


def test_expire_ends_a_session_on_every_server(ensemble, client):
    owners = [client(server.hosts + ensemble.chroot)
              for server in ensemble.servers]
    for number, owner in enumerate(owners):
        owner.create(f'/{number}', ephemeral=True)
    witness = client()
    for owner in owners:
        ensemble.expire(owner)
    witness.sync('/')
    assert witness.get_children('/') == []


def test_survives_a_hung_leader(ensemble, client):
    user = client()
    first = ensemble.pause_leader()
    wait_for(lambda: ensemble.leader is not first, 30, 'a new leader')
    wait_for(lambda: user.connected, 30, 'the connection')
    assert user.retry(user.exists, '/')


def test_restart_keeps_ports_and_data(ensemble, client):
    user = client()
    user.create('/kept')
    hosts = ensemble.hosts
    ensemble.restart()
    assert ensemble.hosts == hosts
    assert user.retry(user.exists, '/kept')
