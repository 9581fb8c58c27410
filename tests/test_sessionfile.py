"""The file that keeps the keys of sessions: slots, locks, rights."""
from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import threading
import time

import pytest
import zc.zk
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import sessionfile
from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.sessionfile import forget
from zc.zkzopeserver.sessionkeys import LIMIT_BYTES
from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.sessionkeys import own_key
from zc.zkzopeserver.slotfile import SLOT_BYTES

KEY = SessionKey(8, 0x7b, b'secret-password!', 'localhost:1')

# Keeps a session with a node until its input ends; then it ends well.
PROGRAM = """
import sys, zc.zk
from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.sessionkeys import own_key
zk = zc.zk.ZooKeeper(sys.argv[1], 60)
zk.client.create('/node-', ephemeral=True, sequence=True)
file = SessionFile(sys.argv[2])
file.keep(own_key(zk.client.client_id, sys.argv[1], (None, None, None)))
print('kept', flush=True)
sys.stdin.read()
zk.close()
file.drop()
file.close()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'web.session'


@pytest.fixture
def start(zookeeper, path):
    """A function that starts a process with a session, kept in the file."""
    with contextlib.ExitStack() as stack:
        def start():
            process = stack.enter_context(subprocess.Popen(
                [sys.executable, '-c', PROGRAM, zookeeper.connection_string,
                 path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)}))
            stack.callback(process.kill)
            assert process.stdout.readline() == 'kept\n'
            return process

        yield start


def forgets():
    """Whether a thread of this process ends sessions and empties slots."""
    return 'zc.zkzopeserver.forget' in {
        thread.name for thread in threading.enumerate()}


def kill(process):
    process.kill()
    process.wait()


def test_keys_are_kept_and_dropped(path):
    file = SessionFile(str(path))
    file.keep(KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SessionKey.decode(path.read_bytes().rstrip(b'\0')) == KEY
    file.drop()
    assert not path.read_bytes().rstrip(b'\0')
    file.close()
    assert not path.exists()


def test_each_process_has_a_slot(start, path, zookeeper, client):
    first, second = start(), start()
    assert len(path.read_bytes()) == 2 * SLOT_BYTES
    assert not forget(str(path)).ended
    kill(first)
    assert [key.pid for key in forget(str(path)).ended] == [first.pid]
    assert client().get_children('/') == ['node-0000000001']
    # The slot of the dead one is used again.
    third = start()
    assert len(path.read_bytes()) == 2 * SLOT_BYTES
    for process in second, third:
        process.stdin.close()
        assert process.wait(30) == 0
    assert not path.exists()


def test_a_slot_with_the_key_of_a_dead_process_is_not_taken(
        start, path, client):
    first = start()
    kill(first)
    second = start()
    assert [key.pid for key in forget(str(path)).ended] == [first.pid]
    kill(second)
    assert [key.pid for key in forget(str(path)).ended] == [second.pid]
    assert client().get_children('/') == []
    assert not path.exists()


def test_many_at_once(start, path, client):
    dead = [start() for _ in range(5)]
    tree = client()
    assert len(tree.get_children('/')) == 5
    for process in dead:
        kill(process)
    done = forget(str(path))
    assert {key.pid for key in done.ended} == {each.pid for each in dead}
    assert tree.get_children('/') == [] and not path.exists()


def test_a_server_forgets_in_the_background(start, path, zookeeper, client):
    kill(start())
    file, tree = SessionFile(str(path)), client()
    file.succeed(0)
    # Meanwhile it keeps its own.
    with zc.zk.ZooKeeper(zookeeper.connection_string) as zk:
        zk.client.create('/mine', ephemeral=True)
        file.keep(own_key(zk.client.client_id, zookeeper.connection_string,
                          (None, None, None)))
        wait_for(lambda: tree.get_children('/') == ['mine']
                 and not forgets())
        file.drop()
        file.close()
    assert not path.exists()


def test_the_last_node_goes_when_a_successor_is_registered(
        start, path, client, monkeypatch):
    dead = start(), start()
    for process in dead:
        kill(process)
    file, tree = SessionFile(str(path)), client()
    answers, is_registered, began = [], False, []
    are_alone, end_all = sessionfile.are_alone, file.forget

    def look(keys):
        answers.append(are_alone(keys))
        return answers[-1]

    def begin():
        began.append(is_registered)
        return end_all()

    monkeypatch.setattr(sessionfile, 'are_alone', look)
    monkeypatch.setattr(file, 'forget', begin)
    file.succeed(600)
    wait_for(lambda: answers)
    assert answers[0]
    assert len(tree.get_children('/')) == 2
    is_registered = True
    file.note_registered()
    wait_for(lambda: not tree.get_children('/') and not forgets())
    assert began == [True]
    file.close()
    assert not path.exists()


@pytest.mark.parametrize('hold_s, longest_s', [(0.5, 600), (600, 0.5)])
def test_the_last_node_goes_after_a_while(
        start, path, client, monkeypatch, hold_s, longest_s):
    monkeypatch.setattr(sessionfile, 'MAX_HOLD_S', longest_s)
    kill(start())
    file, tree = SessionFile(str(path)), client()
    file.succeed(hold_s)
    wait_for(lambda: not tree.get_children('/'))
    file.close()


def test_the_last_node_goes_when_there_are_others(start, path, client):
    """Servers of other machines, which come while this one loads."""
    kill(start())
    file, tree = SessionFile(str(path)), client()
    file.succeed(600)
    tree.create('/other', ephemeral=True)
    wait_for(lambda: tree.get_children('/') == ['other'])
    file.close()


def test_nodes_that_are_gone_are_not_waited_for(start, path, client):
    kill(start())
    file, tree = SessionFile(str(path)), client()
    node, = tree.get_children('/')
    tree.delete(node)
    file.succeed(600)
    wait_for(lambda: not file._dead())
    file.close()


def test_the_dead_are_asked_about_side_by_side(path, monkeypatch):
    """With a ZooKeeper that is slow, one bound holds for all."""
    together = threading.Barrier(sessionfile.AT_ONCE)

    def others(key):
        together.wait(30)
        return {f'/{key.pid}'}, {f'/{key.pid}'}

    monkeypatch.setattr(SessionKey, 'others', others)
    monkeypatch.setattr(sessionfile, 'ASK_S', 30)
    assert sessionfile.are_alone([
        SessionKey(pid, pid, b'', '') for pid in range(sessionfile.AT_ONCE)])
    ends = threading.Event()
    monkeypatch.setattr(SessionKey, 'others', lambda key: ends.wait(30))
    monkeypatch.setattr(sessionfile, 'ASK_S', 0.1)
    began = time.monotonic()
    # Not asked about is not known to be beside others.
    assert sessionfile.are_alone([KEY] * 100)
    assert time.monotonic() - began < 30
    ends.set()


def test_a_node_beside_others_goes_at_once(start, path, client):
    dead, tree = start(), client()
    tree.create('/other', ephemeral=True)
    kill(dead)
    file = SessionFile(str(path))
    file.succeed(600)
    wait_for(lambda: tree.get_children('/') == ['other'])
    file.close()


def test_a_server_that_stops_meanwhile_ends_nothing_later(
        start, path, client):
    kill(start())
    file, tree = SessionFile(str(path)), client()
    file.succeed(600)
    file.close()
    wait_for(lambda: not forgets())
    assert len(tree.get_children('/')) == 1
    assert [key.pid for key in forget(str(path)).ended]


def test_discard_leaves_others(start, path):
    first, second = start(), start()
    kill(first)
    kill(second)
    file = SessionFile(str(path))
    gone = SessionKey.decode(path.read_bytes()[:SLOT_BYTES].rstrip(b'\0'))
    file.discard(gone.session)
    assert [key.pid for key in file.forget().ended] == [second.pid]
    file.close()


def test_there_is_no_file(path):
    done = forget(str(path))
    assert done.ended == done.problems == []
    assert not path.exists()


@pytest.mark.parametrize('content', [
    b'', b'x', b'\0' * 9000, b'{}', b'[' * 3000, b'{"pid": 1}',
    b'\xff' * SLOT_BYTES * 3])
def test_what_is_no_key_is_no_session(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    assert forget(str(path)).ended == []
    assert not path.exists()


@pytest.mark.parametrize('change', [
    dict(session='1'), dict(session=1 << 63), dict(pid=None),
    dict(zookeeper=1), dict(password=1), dict(password='x'), dict(ca=1),
    dict(what=1)])
def test_malformed_keys(change):
    import json
    text = json.dumps(json.loads(KEY.encode()) | change)
    with pytest.raises(ValueError, match='no key of a session') as caught:
        SessionKey.decode(text)
    assert 'secret' not in str(caught.value)


def test_keys_show_no_password():
    assert 'secret' not in repr(KEY) + str(KEY)
    assert KEY.password.hex() not in repr(KEY) + str(KEY)
    assert str(SessionKey(8, -1, b'', '')) == (
        'session 0xffffffffffffffff of pid 8')


def test_a_key_that_is_too_long_is_not_kept(path, caplog):
    key = SessionKey(8, 1, b'', 'h' * LIMIT_BYTES)
    file = SessionFile(str(path))
    file.keep(key)
    file.keep(key)
    file.close()
    assert [record.getMessage().partition(';')[0]
            for record in caplog.records] == [
        f'{path}: the addresses of ZooKeeper and the names of its files have'
        ' more than 4000 bytes']


def make_link(path):
    (path.parent / 'other').touch(0o600)
    path.symlink_to('other')


def make_second_name(path):
    path.touch(0o600)
    os.link(path, path.parent / 'other')


def make_open(path):
    path.touch()
    path.chmod(0o640)


def make_pipe(path):
    os.mkfifo(path, 0o600)


def make_directory(path):
    path.mkdir()


@pytest.mark.parametrize('make', [
    make_link, make_second_name, make_open, make_pipe, make_directory])
def test_unsafe_files_are_not_used(path, caplog, make):
    make(path)
    before = os.lstat(path)
    problem, = forget(str(path)).problems
    assert problem.startswith(f'{path}: ')
    file = SessionFile(str(path))
    file.keep(KEY)
    file.close()
    assert problem in caplog.text
    after = os.lstat(path)
    assert (before.st_mode, before.st_size) == (after.st_mode, after.st_size)


@pytest.mark.skipif(os.geteuid() != 0, reason='needs to be root')
@pytest.mark.parametrize('what', ['directory', 'file'])
def test_what_another_user_owns_is_not_used(path, what):
    path.touch(0o600)
    os.chown(path if what == 'file' else path.parent, 65534, 65534)
    problem, = forget(str(path)).problems
    assert problem.endswith("another user's")
    assert path.exists()


@pytest.mark.parametrize('tls', [None, '/ca.pem'])
def test_what_ends_a_session_is_imported_before(tls):
    """So a parent loses no time when a worker has died."""
    code = ('import sys; from zc.zkzopeserver.workers.sessions import *;'
            f' key = SessionKey(1, 2, b"", "a:1", {tls!r});'
            ' SessionEnder().prepare(key);'
            ' [each.join() for each in threading.enumerate()[1:]];'
            ' before = set(sys.modules); import zc.zk; zc.zk.end_session;'
            ' assert before == set(sys.modules);'
            f' assert ("ssl" in before) == bool({tls!r})')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={'PYTHONPATH': ':'.join(sys.path)})
