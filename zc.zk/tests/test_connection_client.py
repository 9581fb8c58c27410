"""Connecting: what is tried, how long, and what is left afterwards."""
import contextlib
import gc
import logging
import random
import re
import socket
import threading
import time

import pytest
import zc.zk
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from zc.zk.connection import logs
from zc.zk.connection.client import check_connection_string
from zc.zk.connection.client import disconnect
from zc.zk.connection.client import make_client
from zc.zk.connection.client import tls_context
from zc.zk.connection.sockets import BoundedHandler
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for
from zc_zk_support.tls import Terminator
from zc_zk_support.tls import make_certificate


@pytest.fixture
def silent():
    """A server that accepts connections and never answers."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'127.0.0.1:{server.getsockname()[1]}'


@pytest.fixture
def nobody():
    return f'127.0.0.1:{free_port()}'


def fails(*args, **options):
    started = time.monotonic()
    with pytest.raises(zc.zk.FailedConnect) as info:
        zc.zk.ZooKeeper(*args, **options)
    gc.collect()  # what is left unclosed warns now
    return str(info.value), time.monotonic() - started


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


def test_what_a_client_of_the_callers_own_has_settled(zookeeper, client):
    with pytest.raises(TypeError, match='not for a client'):
        zc.zk.ZooKeeper(client(), auth=[('digest', 'me:secret')])


def test_session_timeout_is_in_seconds(zookeeper):
    with zc.zk.ZK(zookeeper.connection_string, 2.5) as zk:
        assert zk.client._session_timeout == 2500


def told_seconds(text):
    """How long it says that it has waited: longer on a slow machine."""
    told = re.match(r'no ZooKeeper answered within (\d+\.\d) s at ', text)
    return float(told[1])


def test_nobody_there(nobody, no_leaks):
    text, seconds = fails(nobody + ',127.0.0.1:1')
    assert 2 <= told_seconds(text) < 12  # of the 15 s that silence gets
    assert text.endswith(f's at {nobody}, 127.0.0.1:1 (Connection refused)')
    assert 2 <= seconds < 13


def test_nobody_answers(silent, no_leaks):
    text, seconds = fails(silent, .8)
    assert silent in text
    assert seconds < 8


def test_nobody_there_but_one_who_does_not_answer(silent, nobody):
    _, seconds = fails(f'{nobody},{silent}', 2.)
    assert seconds > 2.5


def test_one_server_is_silent(silent, zookeeper):
    hosts, _, chroot = zookeeper.connection_string.partition('/')
    for _ in range(5):  # whichever kazoo tries first
        with zc.zk.ZooKeeper(f'{silent},{hosts}/{chroot}', 1.) as zk:
            assert zk.exists('/')


def test_an_unknown_name(no_leaks):
    text, _ = fails('zookeeper.invalid:2181', .8)
    assert 'zookeeper.invalid:2181' in text


def test_wait_goes_on_and_says_so_once(nobody, no_leaks, caplog):
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
    made = []
    thread = threading.Thread(target=lambda: made.append(
        zc.zk.ZooKeeper(zookeeper_server.connection_string, wait=True)))
    thread.start()
    zookeeper_server.start()
    thread.join(20)
    [zk] = made
    assert zk.exists('/')
    zk.close()


def test_an_interrupted_start_leaves_nothing(nobody, no_leaks):
    with pytest.raises(KeyboardInterrupt):
        zc.zk.ZooKeeper(nobody, wait=interrupt)


def interrupt():
    raise KeyboardInterrupt


def test_a_missing_chroot_is_told(zookeeper, caplog):
    with zc.zk.ZooKeeper(zookeeper.connection_string + '/missing') as zk:
        assert not zk.exists('/')
    assert (f'has no node {zookeeper.chroot}/missing, the root of the '
            'connection' in caplog.text)


def test_trouble_is_not_told_every_second(nobody, caplog):
    caplog.set_level(logging.INFO)
    fails(nobody, wait=iter([True] * 15 + [False]).__next__)
    said = [record for record in caplog.records if record.name.startswith(
                'kazoo') and 'onnect' in record.message]
    assert len(said) < 8


def test_quiet_repeats_after_a_minute_and_after_a_reset(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    now = [1000.]
    monkeypatch.setattr(logs.time, 'monotonic', lambda: now[0])
    quiet = logs.RateLimitedLogger(logging.getLogger('quiet'))

    def count():
        quiet.warning('trouble %s', now[0])
        return len(caplog.records)

    assert [count(), count()] == [1, 1]
    now[0] += 61
    assert [count(), count()] == [2, 2]
    quiet.reset()
    assert [count(), count()] == [3, 3]


def test_pauses_between_attempts(monkeypatch):
    """They grow to 1 s, more or less by chance, and never end."""
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


def test_close_ends_calls_that_wait(zookeeper_server):
    zk = zc.zk.ZooKeeper(zookeeper_server.connection_string, 10.)
    zookeeper_server.pause()
    raised = []

    def read():
        try:
            zk.resolve('/')
        except (ConnectionLoss, ConnectionClosedError) as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_for(lambda: zk.client._pending or zk.client._queue)
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


# Credentials

SECRET = 'opensesame'


def test_credentials_are_used(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string,
                         auth=[('digest', f'me:{SECRET}')]) as zk:
        zk.create('/mine', b'', zc.zk.creator_acl())
        acl, _ = zk.client.get_acls('/mine')
        assert [entry.id.scheme for entry in acl] == ['digest', 'world']
        assert acl[0].id.id.startswith('me:')
        zk.set('/mine', b'1')


def test_credentials_are_not_shown(zookeeper, caplog, no_leaks):
    caplog.set_level(1)
    with zc.zk.ZooKeeper(zookeeper.connection_string,
                         auth=[('digest', f'me:{SECRET}')]) as zk:
        zk.exists('/')
        shown = repr([zk, zk.client.auth_data, vars(zk), vars(zk.client)])
    assert 'Sending request' in caplog.text
    assert "'digest', '<hidden>'" in shown
    assert SECRET not in shown + caplog.text


def test_refused_credentials(zookeeper, no_leaks):
    text, _ = fails(zookeeper.connection_string, 1., wait=True,
                    auth=[('unknown', SECRET)])
    assert text == f'ZooKeeper at {zookeeper.hosts} refused the credentials'


@pytest.mark.parametrize('auth', ['digest', [SECRET], [('digest', 1)]])
def test_malformed_credentials(auth, nobody):
    with pytest.raises(TypeError, match='pairs of scheme and') as info:
        zc.zk.ZooKeeper(nobody, auth=auth)
    assert SECRET not in str(info.value)


# TLS


def test_tls(certificate, tls_port, zookeeper):
    cert, key = certificate
    with zc.zk.ZooKeeper(f'localhost:{tls_port}{zookeeper.chroot}',
                         ca=cert, cert=cert, key=key) as zk:
        zk.create('/a', b'x' * 100000)
        assert zk.get('/a')[0] == b'x' * 100000
        registration = zk.register('/', 'a:1')
        assert registration.state == 'registered'


def test_tls_with_a_certificate_for_another_name(certificate, tls_port,
                                                 no_leaks):
    cert, key = certificate
    text, _ = fails(f'127.0.0.1:{tls_port}', .8, ca=cert, cert=cert, key=key)
    assert 'certificate verify failed' in text


def test_tls_with_an_unknown_authority(certificate, tls_port, no_leaks):
    text, _ = fails(f'localhost:{tls_port}', .8, cert=certificate[0],
                    key=certificate[1])
    assert 'certificate verify failed' in text


def test_tls_with_a_certificate_that_the_server_refuses(
        certificate, tls_port, tmp_path, no_leaks):
    """It says so only behind the handshake."""
    cert, key = make_certificate(tmp_path)
    where = f'localhost:{tls_port}'
    text, _ = fails(where, .8, ca=certificate[0], cert=cert, key=key)
    # On a busy machine it may take a little longer than one and a half times.
    assert re.match(rf'no ZooKeeper answered within [0-9.]+ s at {where} \(',
                    text)
    assert 'alert unknown ca' in text
    text, _ = fails(where, .8, ca=certificate[0])
    assert 'certificate required' in text
    text, seconds = fails(where, 10., ca=certificate[0])
    assert seconds < 8  # not all the time that a silent server gets


def test_tls_with_a_server_that_has_refused_us_before_we_send(certificate):
    """Then it is the sending that fails, and says nothing of why."""
    context = tls_context(certificate[0], None, None)
    handler = BoundedHandler(1, context)
    with Terminator(('127.0.0.1', 1), *certificate) as terminator:
        address = '127.0.0.1', terminator.port
        with handler.create_connection(address, 'localhost') as connection:
            connection.setblocking(False)
            wait_for(lambda: len(terminator.threads) == 2
                     and not terminator.threads[1].is_alive())
            with pytest.raises(OSError) as info:
                while True:
                    connection.send(b'x')
            assert 'certificate required' not in str(info.value)
            assert 'certificate required' in str(handler.failures[address])
            # Nor is it forgotten when the server is then seen to be gone.
            with contextlib.suppress(OSError):
                assert connection.recv(1) == b''
            assert 'certificate required' in str(handler.failures[address])


def test_tls_with_a_server_that_hangs_up(certificate, no_leaks):
    """Such as one that has lost its ZooKeeper."""
    with Terminator(('127.0.0.1', free_port()), *certificate) as terminator:
        text, _ = fails(f'localhost:{terminator.port}', .8,
                        ca=certificate[0], cert=certificate[0],
                        key=certificate[1])
    # Which of them it is depends on what of ours it had read.
    assert ('the server closed the connection' in text or 'EOF' in text
            or 'Connection reset by peer' in text)


def test_a_tls_server_that_is_not_asked_for_tls(certificate, tls_port,
                                                 no_leaks):
    text, _ = fails(f'localhost:{tls_port}', .8)
    assert 'the server speaks TLS' in text or 'the server hung up' in text


@pytest.mark.parametrize('said, session_timeout, least, most, told', [
    (b'\x15\x03\x03\0\2\2\x46', 10., 2, 12, '(the server speaks TLS)'),
    # It may yet join its ensemble, and gets the time that silence gets.
    (b'', 4., 6, 60, '(the server hung up without an answer, as one that'
                     ' speaks TLS does, or one that is not ready)')])
def test_a_server_that_hangs_up(said, session_timeout, least, most, told,
                                no_leaks):
    def serve():
        while True:
            connection, _ = server.accept()
            with connection:
                if not connection.recv(1 << 16):
                    return
                connection.sendall(said)

    with socket.create_server(('127.0.0.1', 0)) as server:
        address = server.getsockname()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            text, _ = fails(f'{address[0]}:{address[1]}', session_timeout)
        finally:
            socket.create_connection(address).close()
            thread.join()
    assert text.endswith(told)
    assert least <= told_seconds(text) < most


@pytest.mark.parametrize('options', [
    {'ca': '/nowhere/ca.pem'}, {'cert': '/nowhere/cert.pem'},
    {'key': '/nowhere/key.pem'}])
def test_tls_files_are_read_at_once(nobody, options):
    [path] = options.values()
    with pytest.raises((OSError, ValueError), match=path):
        zc.zk.ZooKeeper(nobody, **options)


def test_our_handler_serves_a_plain_client(zookeeper):
    client = KazooClient(zookeeper.hosts,
                         handler=BoundedHandler(1, None))
    client.start()
    assert client.command(b'ruok') == 'imok'
    disconnect(client)
    disconnect(client)
