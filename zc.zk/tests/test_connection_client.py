"""Connecting: which servers are tried, how long, and what is left open."""
import random
import re
import threading
import time

import pytest
import zc.zk
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import KeeperState
from zc.zk.connection.client import check_connection_string
from zc.zk.connection.client import connect
from zc.zk.connection.client import make_client
from zc.zk.connection.requests import Requests
from zc.zk.connection.session import forget_session
from zc.zk.errors import FailedConnect
from zc.zk.testing.waiting import wait_for
from zc_zk_support.connecting import SECRET
from zc_zk_support.connecting import fails
from zc_zk_support.connecting import told_seconds


def test_the_default_is_in_the_environment(zookeeper, monkeypatch):
    monkeypatch.setenv('ZC_ZK_CONNECTION_STRING', zookeeper.connection_string)
    with zc.zk.ZooKeeper() as zk:
        assert zk.exists('/')
        assert zk.session_timeout == zk.recv_timeout() == 10
        assert zookeeper.hosts in repr(zk)


def test_the_default_of_the_default(monkeypatch):
    monkeypatch.delenv('ZC_ZK_CONNECTION_STRING', raising=False)
    asked = []
    monkeypatch.setattr(zc.zk.client, 'make_client',
                        lambda *args, **options: asked.append(args))
    monkeypatch.setattr(zc.zk.client, 'connect', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        zc.zk.ZooKeeper(session_timeout=3)
    assert asked == [('127.0.0.1:2181', 3)]


def test_a_kazoo_client_is_used_and_left_open(zookeeper, client):
    kazoo = client()
    with zc.zk.ZooKeeper(kazoo) as zk:
        assert zk.client is kazoo
        assert zk.exists('/')
    assert kazoo.connected


@pytest.mark.parametrize('is_ours', [False, True])
def test_a_session_is_forgotten(zookeeper, client, connect, is_ours):
    """kazoo's own thread would end at a request of ours."""
    kazoo = connect().client if is_ours else client()
    before = kazoo.client_id[0]
    forget_session(kazoo)
    wait_for(lambda: kazoo.client_id and kazoo.client_id[0] != before)
    assert kazoo.exists('/')


def test_a_client_of_the_caller_has_its_own_credentials(zookeeper, client):
    with pytest.raises(TypeError, match='not for a client'):
        zc.zk.ZooKeeper(client(), auth=[('digest', 'me:secret')])


def test_session_timeout_is_in_seconds(zookeeper):
    with zc.zk.ZK(zookeeper.connection_string, 2.5) as zk:
        assert zk.client._session_timeout == 2500


@pytest.mark.clock
def test_no_server_listens(nobody, no_leaks):
    text, seconds = fails(nobody + ',127.0.0.1:1')
    assert 2 <= told_seconds(text) < 12  # of the 15 s that silence gets
    assert text.endswith(f's at {nobody}, 127.0.0.1:1 (Connection refused)')
    assert 2 <= seconds < 13


def test_a_server_never_answers(silent, no_leaks):
    text, seconds = fails(silent, .8)
    assert silent in text
    assert seconds < 8


def test_an_unknown_name(no_leaks):
    text, _ = fails('zookeeper.invalid:2181', .8)
    assert 'zookeeper.invalid:2181' in text


@pytest.mark.clock
def test_wait_goes_on_and_logs_it_once(nobody, no_leaks, caplog):
    asked = []

    def wait():
        asked.append(time.monotonic())
        return asked[-1] - asked[0] < 1

    text, seconds = fails(nobody, .5, wait=wait)
    assert text == (f'gave up waiting for ZooKeeper at {nobody} '
                    '(Connection refused)')
    assert seconds > 1
    assert caplog.text.count(f'Waiting for ZooKeeper at {nobody}') == 1


def test_wait_ends_when_a_server_comes(zookeeper_server):
    zookeeper_server.stop()
    made, is_wanted = [], True
    thread = threading.Thread(target=lambda: made.append(zc.zk.ZooKeeper(
        zookeeper_server.connection_string, wait=lambda: is_wanted)))
    thread.start()
    try:
        zookeeper_server.start()
    except BaseException:
        # hypothesis complains of a thread that takes random pauses.
        is_wanted = False
        raise
    thread.join()
    [zk] = made
    assert zk.exists('/')
    zk.close()


def test_an_interrupted_start_leaves_nothing(nobody, no_leaks):
    with pytest.raises(KeyboardInterrupt):
        zc.zk.ZooKeeper(nobody, wait=interrupt)


def interrupt():
    raise KeyboardInterrupt


def test_a_missing_chroot_is_logged(zookeeper, caplog):
    with zc.zk.ZooKeeper(zookeeper.connection_string + '/missing') as zk:
        assert not zk.exists('/')
    assert (f'has no node {zookeeper.chroot}/missing, the root of the '
            'connection' in caplog.text)


def test_pauses_between_attempts(monkeypatch):
    """Have pauses grow to 1 s, with a random part, and never end."""
    def pauses():
        slept = []
        retry = make_client('localhost:1', 10)._conn_retry.copy()
        retry.sleep_func = slept.append
        retry.interrupt = None
        tries = iter([True] * 40 + [False])

        def connect():
            if next(tries):
                raise ConnectionLoss

        retry(connect)
        return slept

    random.seed(1)
    one, other = pauses(), pauses()
    assert len(one) == 40
    assert one != other
    assert all(.05 <= pause <= 1.5 for pause in one)
    assert max(one[-20:]) - min(one[-20:]) > .5
    assert .7 < sum(one[-20:]) / 20 < 1.3


def test_close_is_quick_when_the_server_hangs(zookeeper_server):
    zk = zc.zk.ZooKeeper(zookeeper_server.connection_string, 10.)
    zookeeper_server.pause()
    started = time.monotonic()
    zk.close()
    assert time.monotonic() - started < 8
    assert not zk.has_ended_session


def test_close_tells_whether_the_session_has_ended(zookeeper):
    zk = zc.zk.ZooKeeper(zookeeper.connection_string)
    assert not zk.has_ended_session
    zk.close()
    assert zk.has_ended_session


def test_the_session_of_a_client_of_others_goes_on(zookeeper, client):
    zk = zc.zk.ZooKeeper(client())
    zk.close()
    assert not zk.has_ended_session
    assert zk.client.connected


def test_close_ends_requests_that_wait(zookeeper_server, monkeypatch):
    zk = zc.zk.ZooKeeper(zookeeper_server.connection_string, 10.)
    zookeeper_server.pause()
    raised, sent = [], []
    send = Requests.send

    def noted(*args):
        pending = send(*args)
        sent.append(pending)
        return pending

    monkeypatch.setattr(Requests, 'send', noted)

    def read():
        try:
            zk.resolve('/')
        except (ConnectionLoss, ConnectionClosedError) as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_for(lambda: sent)
    zk.close()
    thread.join(5)
    assert raised


@pytest.mark.parametrize('connection_string', [
    ':1', 'host:port', 'host:99999', 'host:1,', '/path', '::1:2181',
    'a host:1', 'me@host:1', 'host:1,,host:2', '[::1:1'])
def test_malformed_connection_strings(connection_string):
    with pytest.raises(ValueError, match='is not a connection string'):
        zc.zk.ZooKeeper(connection_string)


@pytest.mark.parametrize('connection_string', [
    'host', 'host:1', 'host,other:2/a/b', '[::1]:2181', '[::1]',
    '127.0.0.1:1, 127.0.0.1:2', 'host/a'])
def test_connection_strings(connection_string):
    check_connection_string(connection_string)


@pytest.mark.parametrize('seconds', [0, -1, float('nan')])
def test_impossible_session_timeouts(seconds, nobody):
    with pytest.raises(ValueError, match='time-out'):
        zc.zk.ZooKeeper(nobody, seconds)


def test_names_that_cannot_be_resolved(no_leaks):
    """The resolver's reason is told, without waiting for all the time."""
    text, _ = fails('nowhere.invalid:2181', 10.)
    assert re.fullmatch(
        r'no ZooKeeper answered within \d+\.\d s at nowhere\.invalid:2181'
        r' \(.*(name|Name|lookup).*\)', text)
    assert told_seconds(text) < 10


def test_one_name_that_cannot_be_resolved(zookeeper):
    servers = f'nowhere.invalid:2181,{zookeeper.connection_string}'
    with zc.zk.ZooKeeper(servers) as zk:
        assert zk.exists('/')
        failures = zk.client.handler.failures
        assert [host for host, _ in failures] == ['nowhere.invalid']


# Credentials


def test_credentials_are_used(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string,
                         auth=[('digest', f'me:{SECRET}')]) as zk:
        zk.create('/mine', b'', zc.zk.creator_acl())
        acl, _ = zk.client.get_acls('/mine')
        assert [entry.id.scheme for entry in acl] == ['digest', 'world']
        assert acl[0].id.id.startswith('me:')
        zk.set('/mine', b'1')


def test_refused_credentials(zookeeper, no_leaks):
    text, _ = fails(zookeeper.connection_string, 1., wait=True,
                    auth=[('unknown', SECRET)])
    assert text == f'ZooKeeper at {zookeeper.hosts} refused the credentials'


def test_refused_credentials_noticed_late(zookeeper, no_leaks):
    """kazoo says AUTH_FAILED for a moment; it may be over when we look."""
    client = make_client(zookeeper.connection_string, 1.,
                         auth=[('unknown', SECRET)])
    lost, start_async = threading.Event(), client.start_async
    client.add_listener(
        lambda state: state == KazooState.LOST and lost.set())

    def start_slowly():
        live = start_async()
        assert lost.wait(20)
        wait_for(lambda: client.client_state == KeeperState.CLOSED)
        return live

    client.start_async = start_slowly
    gave_up = iter([True] * 100 + [False]).__next__
    with pytest.raises(FailedConnect, match='refused the credentials$'):
        connect(client, 1., gave_up)


@pytest.mark.parametrize('auth', ['digest', [SECRET], [('digest', 1)]])
def test_malformed_credentials(auth, nobody):
    with pytest.raises(TypeError, match='pairs of scheme and') as info:
        zc.zk.ZooKeeper(nobody, auth=auth)
    assert SECRET not in str(info.value)


@pytest.mark.parametrize('options', [
    {'ca': '/nowhere/ca.pem'}, {'cert': '/nowhere/cert.pem'},
    {'key': '/nowhere/key.pem'}])
def test_tls_files_are_read_at_once(nobody, options):
    [path] = options.values()
    with pytest.raises((OSError, ValueError), match=path):
        zc.zk.ZooKeeper(nobody, **options)
