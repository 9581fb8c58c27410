"""The server for development: its memory, its data file, its neighbours."""
import contextlib
import os
import struct
import subprocess
import sys

import pytest
from zc.zk.embedded import DataError
from zc.zk.embedded import Server
from zc.zk.embedded import loop
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.waiting import wait_for
from zc_zk_support.wire import SESSION
from zc_zk_support.wire import Wire

MEGABYTE = 1 << 20


@pytest.fixture
def server():
    # Sessions that send nothing last as long as a test on a busy machine.
    with Server(max_session_timeout=SESSION) as server:
        server.hosts = server.connection_string
        yield server


def open_connections(server):
    run = server._run.loop
    return run.call(lambda: len(run.connections))


def test_half_a_frame_before_a_session_is_refused(server):
    """A frame of a megabyte, of which the last byte never comes."""
    with Wire(server.hosts) as connection:
        connection.socket.sendall(struct.pack('>i', MEGABYTE - 1))
        assert connection.is_closed()


def test_connections_without_a_session_have_a_limit(server, monkeypatch):
    monkeypatch.setattr(loop, 'MAX_HANDSHAKES', 10)
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Wire(server.hosts))
                   for _ in range(30)]
        for connection in waiting:
            connection.socket.sendall(b'\0')
        for connection in waiting[:20]:
            assert connection.is_closed()  # the oldest
        wait_for(lambda: open_connections(server) == 10)
        waiting[-1].socket.sendall(b'\0\0\x2c' + struct.pack(
            '>iqiqi', 0, 0, 4000, 0, 16) + bytes(16))
        assert waiting[-1].receive()


def test_connections_with_sessions_are_not_counted(server, monkeypatch):
    monkeypatch.setattr(loop, 'MAX_HANDSHAKES', 5)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(Wire(server.hosts)).start()
        assert open_connections(server) == 20


@pytest.mark.clock
def test_a_handshake_has_a_limit_in_seconds(monkeypatch):
    monkeypatch.setattr(loop, 'HANDSHAKE_S', .1)
    with Server(tick=1000) as server, Wire(server.connection_string) as wire:
        wire.socket.sendall(b'\0')
        assert wire.is_closed()


def test_unfinished_requests_have_a_limit_together(server, monkeypatch):
    monkeypatch.setattr(loop, 'MAX_INPUT_BYTES', 4 * MEGABYTE)
    half = struct.pack('>i', MEGABYTE - 1) + bytes(MEGABYTE - 10)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Wire(server.hosts)).start()
                    for _ in range(10)]
        for connection in sessions:
            connection.socket.sendall(half)
        held = server._run.loop
        wait_for(lambda: open_connections(server) <= 5)
        assert held.call(lambda: sum(held._inputs.values())) <= 4 * MEGABYTE
    with Wire(server.hosts) as connection:
        connection.start()


# The data file


@pytest.fixture
def other():
    """The id of another user; skip where there is no way to have files."""
    if os.geteuid():
        pytest.skip('only root can make files of another user')
    return 65534


@pytest.fixture
def shared(tmp_path):
    """A directory as /tmp."""
    folder = tmp_path / 'shared'
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_the_link_of_another_user_is_not_followed(shared, tmp_path, other):
    victim = tmp_path / 'victim'
    (shared / 'data').symlink_to(victim)
    os.lchown(shared / 'data', other, other)
    with pytest.raises(DataError, match='is a symbolic link of another user'):
        Server(data=shared / 'data').start()
    assert not victim.exists()


def test_the_folder_of_another_user_is_not_followed(shared, tmp_path, other):
    (shared / 'folder').symlink_to(tmp_path)
    os.lchown(shared / 'folder', other, other)
    with pytest.raises(DataError, match=r'folder is a symbolic link of'):
        Server(data=shared / 'folder' / 'data').start()
    assert not (tmp_path / 'data').exists()


def test_a_link_at_the_name_of_the_new_file_is_replaced(shared, tmp_path):
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    (shared / 'data.new').symlink_to(victim)
    with Server(data=shared / 'data') as server:
        client = start_client(server.connection_string)
        client.create('/a')
        stop_client(client)
    assert victim.read_text() == 'mine'
    assert (shared / 'data').read_bytes()


def test_the_file_of_another_user_is_not_used(shared, other):
    (shared / 'data').touch()
    os.chown(shared / 'data', other, other)
    with pytest.raises(DataError, match='the file of another user'):
        Server(data=shared / 'data').start()


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir])
def test_no_file_at_all(tmp_path, make):
    make(tmp_path / 'data')
    with pytest.raises(DataError, match='not a file|Is a directory'):
        Server(data=tmp_path / 'data').start()


def test_links_of_our_own_are_followed(tmp_path):
    (tmp_path / 'a').symlink_to('b')
    (tmp_path / 'b').symlink_to(tmp_path / 'c')
    with Server(data=tmp_path / 'a'):
        assert (tmp_path / 'c').is_file()
    (tmp_path / 'c').unlink()
    (tmp_path / 'c').symlink_to('a')
    with pytest.raises(DataError, match='in a circle'):
        Server(data=tmp_path / 'a').start()


# Other machines


def run(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'zc.zk.scripts.zookeeper_embedded',
         '--port', '0', *arguments], capture_output=True, text=True,
        timeout=30, check=False)


@pytest.mark.parametrize('host', ['', '0.0.0.0', '::'])
def test_other_machines_are_not_let_in(host):
    done = run('--host', host)
    assert done.returncode == 1
    assert done.stderr == (
        f'zookeeper_embedded: --host {host}: other machines can reach'
        f' {host or "0.0.0.0"}, and every client may read and change all nodes'
        ' without an ACL; to have that, add --allow-remote\n')


def test_other_machines_are_let_in_when_that_is_said(caplog):
    with Server(host='', allow_remote=True):
        assert caplog.messages == [
            'this ZooKeeper for development listens on 0.0.0.0, which other'
            ' machines can reach']
    caplog.clear()
    with Server(host='localhost', allow_remote=False):
        assert caplog.messages == []
