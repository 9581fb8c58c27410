"""A registration that stays true, whatever happens to ZooKeeper.

Real processes, a real ZooKeeper, and clients that send requests all the
while, of which not one may fail.
"""
import json
import signal
import socket

import pytest
from kazoo.exceptions import SessionExpiredError
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.load import under_load
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH


def owner(tree, address):
    """The session that owns the address's node; 0 when there is none."""
    try:
        stat = tree.exists(f'{PATH}/{address}')
    except SessionExpiredError:
        return 0  # our own session; kazoo begins another
    return stat.ephemeralOwner if stat else 0


def stays(tree, address, load, answers=1000):
    """The node is there, and still is after so many more requests.

    Four clients that pause 5 ms take longer for a thousand than a session
    of a second lasts.
    """
    wait_for(lambda: owner(tree, address), 30, 'the node')
    seen = load.answered
    wait_for(lambda: load.answered > seen + answers, 200, 'requests')
    wait_for(lambda: owner(tree, address), 5, 'the node, still')


def back(tree, address, old, timeout=30):
    """Wait for the node in another session than `old`."""
    wait_for(lambda: owner(tree, address) not in (0, old), timeout,
             'the node to be back')


def pid_at(tree, address):
    """The pid in the node's data."""
    return json.loads(tree.get(f'{PATH}/{address}')[0])['pid']


@pytest.fixture
def faulty(request, zookeeper, tree, tmp_path):
    """(process, address, proxy): a server behind a network that can fail.

    Its session timeout is the fixture's parameter, 1 second by default.
    """
    host, _, chroot = zookeeper.connection_string.partition('/')
    with Proxy(host) as proxy:
        ini = write_ini(tmp_path, f'{proxy.connection_string}/{chroot}',
                        session_timeout=getattr(request, 'param', '1000'),
                        threads='4')
        with started(ini) as process:
            address, = registered(tree, process)
            yield process, address, proxy
            assert process.stopped() == 0, process.output
            assert tree.get_children(PATH) == []


def test_a_node_deleted_by_hand_comes_back(faulty, tree):
    process, address, _ = faulty
    with under_load(address):
        tree.delete(f'{PATH}/{address}')
        wait_for(lambda: owner(tree, address), 10, 'the node to be back')
    assert pid_at(tree, address) == process.pid
    wait_for(lambda: 'WARNING' in process.output, 10, 'the warning')


@pytest.mark.parametrize('fault', ['drop', 'stall', 'half_open'])
@pytest.mark.clock
def test_a_cut_longer_than_the_session(faulty, tree, fault):
    process, address, proxy = faulty
    old = owner(tree, address)
    with under_load(address):
        getattr(proxy, fault)()
        wait_for(lambda: not owner(tree, address), 30,
                 'the session to expire')
        proxy.heal()
        back(tree, address, old)
    assert pid_at(tree, address) == process.pid
    assert len(tree.get_children(PATH)) == 1


@pytest.mark.parametrize('faulty', ['60000'], indirect=True)
def test_a_short_cut_changes_nothing(faulty, tree):
    process, address, proxy = faulty
    old = tree.exists(f'{PATH}/{address}').czxid
    with under_load(address) as load:
        proxy.drop()
        proxy.heal()
        stays(tree, address, load)
    assert tree.exists(f'{PATH}/{address}').czxid == old


@pytest.mark.clock
def test_zookeeper_away_for_longer_than_the_session(
        zookeeper_server, client, tmp_path):
    tree = client(timeout=30.)
    tree.ensure_path(PATH)
    ini = write_ini(tmp_path, zookeeper_server.connection_string,
                    session_timeout='1000', threads='4')
    with started(ini) as process:
        address, = registered(tree, process)
        with under_load(address) as load:
            zookeeper_server.stop()
            seen = load.answered
            wait_for(lambda: load.answered > seen + 1000, 60, 'requests')
            zookeeper_server.start()
            # The same node or a new one: a real server stops the clock of
            # its sessions while it is down.
            stays(tree, address, load)
        assert pid_at(tree, address) == process.pid
        assert process.stopped() == 0, process.output


def test_killed_and_started_again_on_a_fixed_port(
        zookeeper, tree, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    ini = write_ini(tmp_path, zookeeper.connection_string, port=str(port),
                    session_timeout='10000', threads='4')
    address = f'127.0.0.1:{port}'
    with started(ini) as first:
        registered(tree, first)
        old = owner(tree, address)
        first.signal(signal.SIGKILL)
        first.ended()
        assert owner(tree, address) == old
        with started(ini) as second:
            wait_for(lambda: owner(tree, address) not in (0, old)
                     or second.popen.poll() is not None, 30,
                     'the new server to register')
            assert pid_at(tree, address) == second.pid, second.output
            # It logs whose node it has replaced, once that is done.
            wait_for(lambda: f'{old:#x}' in second.output, 30,
                     lambda: f'{old:#x} in the log:\n{second.output}')
            # The old session expires meanwhile, ten seconds after its end.
            with under_load(address) as load:
                stays(tree, address, load, answers=9000)
            assert pid_at(tree, address) == second.pid
            assert second.stopped() == 0, second.output


def test_an_address_that_two_servers_advertise(zookeeper, tree, tmp_path):
    (tmp_path / 'one').mkdir()
    (tmp_path / 'two').mkdir()
    inis = [write_ini(tmp_path / name, zookeeper.connection_string,
                      advertise='www.example.com:80', session_timeout='4000')
            for name in ('one', 'two')]
    address = 'www.example.com:80'
    with started(inis[0]) as first:
        registered(tree, first)
        old = owner(tree, address)
        with started(inis[1]) as second:
            back(tree, address, old)
            now = owner(tree, address)
            wait_for(lambda: 'ERROR' in first.output, 20,
                     'the error of the server that lost the address')
            assert str(second.pid) in first.output
            # They do not fight over the node.
            assert owner(tree, address) == now
            assert second.stopped() == 0
            # Only the first serves there now.
            back(tree, address, now)
            assert pid_at(tree, address) == first.pid
        assert first.stopped() == 0
    assert tree.get_children(PATH) == []


def test_the_leader_is_killed(ensemble, client, tmp_path):
    tree = client(timeout=30.)
    tree.ensure_path(PATH)
    ini = write_ini(tmp_path, ensemble.connection_string,
                    session_timeout='4000', threads='4')
    with started(ini) as process:
        address, = registered(tree, process)
        with under_load(address) as load:
            ensemble.kill_leader()
            assert ensemble.leader
            stays(tree, address, load)
        assert tree.get_children(PATH) == [address]
        assert process.stopped() == 0, process.output


@pytest.mark.clock
def test_the_leader_hangs_longer_than_the_session(
        ensemble, client, tmp_path):
    tree = client(timeout=60.)
    tree.ensure_path(PATH)
    ini = write_ini(tmp_path, ensemble.connection_string,
                    session_timeout='1000', threads='4')
    with started(ini) as process:
        address, = registered(tree, process)
        with under_load(address) as load:
            hung = ensemble.pause_leader()
            seen = load.answered
            wait_for(lambda: load.answered > seen + 500, 60, 'requests')
            hung.resume()
            stays(tree, address, load)
            wait_for(lambda: pid_at(tree, address) == process.pid, 30)
        assert tree.get_children(PATH) == [address]
        assert process.stopped() == 0, process.output
