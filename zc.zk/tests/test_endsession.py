"""Sessions that are ended by another process than the one that has them."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import zc.zk
import zc.zk.embedded
from kazoo.security import make_acl
from zc.zk.connection import packets
from zc.zk.testing.waiting import wait_for

PROGRAM = """
import sys, time, zc.zk
zk = zc.zk.ZooKeeper(sys.argv[1], 60)
exec(sys.argv[2])
session, password = zk.client.client_id
print(session, password.hex(), flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def running(zookeeper, code):
    """A process that has executed code: (process, id, password)."""
    process = subprocess.Popen(
        [sys.executable, '-c', PROGRAM, zookeeper.connection_string, code],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)})
    with process:
        session, password = process.stdout.readline().split()
        yield process, int(session), bytes.fromhex(password)
        process.kill()


@pytest.fixture
def program(zookeeper):
    """A process with a node, /127.0.0.1:8080: (process, id, password)."""
    with running(zookeeper, "zk.register('/', '127.0.0.1:8080')") as made:
        yield made


def killed(zookeeper, code):
    """The session of a process that is dead: (id, password).

    A live client would come back as soon as another one has its session, and
    the server then hangs up on that.
    """
    with running(zookeeper, code) as (_, *session):
        return session


def test_the_nodes_of_a_killed_process_go_at_once(
        zookeeper, client, program):
    process, session, password = program
    tree = client()
    assert tree.get_children('/') == ['127.0.0.1:8080']
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert zc.zk.end_session(zookeeper.connection_string, session, password)
    assert tree.get_children('/') == []
    # There is no such session any more.
    assert not zc.zk.end_session(zookeeper.hosts, session, password)


def test_a_stopped_process_comes_back_by_itself(zookeeper, client, program):
    process, session, password = program
    tree = client()
    process.send_signal(signal.SIGSTOP)
    assert zc.zk.end_session(zookeeper.hosts, session, password)
    assert tree.get_children('/') == []
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: tree.get_children('/') == ['127.0.0.1:8080'])


def test_a_wrong_password_ends_nothing(zookeeper, client, program):
    _, session, _ = program
    assert not zc.zk.end_session(zookeeper.hosts, session, b'x' * 16)
    assert client().get_children('/') == ['127.0.0.1:8080']


def test_sessions_that_never_were(zookeeper):
    assert not zc.zk.end_session(zookeeper.hosts, 0x7b, b'x' * 16)
    assert not zc.zk.end_session(zookeeper.hosts, -1, b'')


def test_a_server_that_is_down_is_passed_over(
        zookeeper, client, program, nobody):
    _, session, password = program
    where = f'{nobody},{zookeeper.hosts}'
    assert zc.zk.end_session(where, session, password)
    assert client().get_children('/') == []


def test_a_server_that_is_silent_is_passed_over(
        zookeeper, client, program, silent):
    _, session, password = program
    where = f'{silent},{zookeeper.hosts}'
    assert zc.zk.end_session(where, session, password, timeout=2)
    assert client().get_children('/') == []


def test_errors_name_servers_and_no_password(nobody, silent):
    password = b'secret-password!'
    with pytest.raises(zc.zk.FailedConnect) as caught:
        zc.zk.end_session(f'{nobody},{silent}', 0x7b, password, timeout=0.2)
    text = str(caught.value)
    assert nobody in text and silent in text and 'session 0x7b' in text
    assert 'secret' not in text and password.hex() not in text


def test_malformed_connection_strings():
    with pytest.raises(ValueError, match='is not a connection string'):
        zc.zk.end_session('host:port', 1, b'')


def test_what_is_beside_the_nodes_of_a_session(zookeeper, client, program):
    process, session, password = program
    tree = client()
    process.send_signal(signal.SIGKILL)
    process.wait()
    path = f'{zookeeper.chroot}/127.0.0.1:8080'
    other = f'{zookeeper.chroot}/192.0.2.1:80'
    found = zc.zk.session_nodes(zookeeper.hosts, session, password)
    assert found == ({path}, {path})
    tree.create('/192.0.2.1:80', ephemeral=True)
    found = zc.zk.session_nodes(zookeeper.hosts, session, password)
    assert found.own == {path} and found.beside == {path, other}
    # It lives on.
    assert '127.0.0.1:8080' in tree.get_children('/')
    assert zc.zk.end_session(zookeeper.hosts, session, password)
    assert zc.zk.session_nodes(zookeeper.hosts, session,
                               password) == (set(), set())


def test_who_looks_at_a_session_does_not_keep_it_for_long():
    with zc.zk.embedded.Server(max_session_timeout=60_000) as server:
        session, password = killed(server, '')
        sessions = server._run.loop.database.sessions
        assert sessions.get(session).timeout == 60_000
        found = zc.zk.session_nodes(server.connection_string, session,
                                    password)
        assert found == (set(), set())
        assert sessions.get(session).timeout == 4_000


def test_marks_are_no_nodes_of_a_session(zookeeper, client):
    tree = client()
    tree.create('/a/b', makepath=True)
    session = killed(zookeeper, """
zk.register('/a/b', '192.0.2.1:80').withdraw(mark=True)
zk.register('/a/b', '192.0.2.2:80')
""")
    path = f'{zookeeper.chroot}/a/b/192.0.2.2:80'
    assert tree.get_children('/a') != ['b']
    assert zc.zk.session_nodes(zookeeper.hosts, *session) == ({path}, {path})


def test_parents_that_may_not_be_read(zookeeper, client):
    tree = client()
    tree.create('/a', acl=[make_acl('world', 'anyone', create=True)])
    session = killed(zookeeper, "zk.client.create('/a/b', ephemeral=True)")
    assert zc.zk.session_nodes(zookeeper.hosts, *session) is None


def test_a_server_hangs_up_before_it_tells_the_nodes():
    ours, servers = socket.socketpair()
    with ours, servers:
        servers.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match='the server hung up'):
            packets.receive_names(ours, time.monotonic() + 30)


def test_nobody_tells_of_a_session(nobody, silent):
    with pytest.raises(zc.zk.FailedConnect, match='no ZooKeeper answered at '):
        zc.zk.session_nodes(f'{nobody},{silent}', 0x7b, b'x' * 16,
                            timeout=0.2)


def test_tls(zookeeper, client, program, tls_port, certificate):
    process, session, password = program
    # It would make a new session, and the node, at once.
    process.send_signal(signal.SIGSTOP)
    cert, key = certificate
    where = f'localhost:{tls_port}'
    with pytest.raises(zc.zk.FailedConnect):
        # Not without TLS: the proxy hangs up.
        zc.zk.end_session(where, session, password, timeout=0.2)
    assert zc.zk.end_session(where, session, password, ca=cert, cert=cert,
                             key=key)
    assert client().get_children('/') == []


def test_any_server_of_an_ensemble(ensemble, client):
    tree = client()
    with zc.zk.ZooKeeper(ensemble.connection_string, 60) as zk:
        zk.register('/', '127.0.0.1:8080')
        session, password = zk.client.client_id
        ensemble.kill_leader()
        assert zc.zk.end_session(ensemble.connection_string, session,
                                 password, timeout=30)
        wait_for(lambda: zk.client.client_id not in (
            None, (session, password)), 30)
        wait_for(lambda: tree.retry(tree.get_children, '/')
                 == ['127.0.0.1:8080'], 30)
