"""What else could end the threads that keep a registration."""
import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
import zc.zk
from kazoo.exceptions import NoNodeError
from zc.zk.taskthread import TaskThread
from zc.zk.testing.waiting import wait_for
from zc_zk_support.corruption import Corruption
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH
from zc_zk_support.registrations import owner
from zc_zk_support.registrations import session


@pytest.fixture
def zk(connect):
    return connect()


@pytest.fixture
def registration(zookeeper, zk):
    registration = zk.register(PATH, '192.0.2.7:8080')
    yield registration
    assert zk.is_alive()


def is_kept(zk, registration):
    """Check that the node comes back after a deletion and a new session."""
    times = registration.reregistered
    zk.client.delete(NODE)
    wait_for(lambda: registration.reregistered == times + 1
             and registration.state == 'registered')
    return owner(zk) == session(zk)


# This program registers with a host name, uses up all descriptors, those of
# closed connections as well, and frees them when it is told to.
WITHOUT_DESCRIPTORS = """
import os, resource, select, sys
import zc.zk
zk = zc.zk.ZooKeeper(sys.argv[1], 4.)
zk.register('/providers', '192.0.2.7:8080')
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
failures = zk.client.handler.failures
before = dict(failures)
print('out', flush=True)
while not select.select([0], [], [], .001)[0]:
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    if failures != before:
        # That of getaddrinfo for a name that it could not look up is not
        # logged: it may say no more than that it failed for now.
        before = dict(failures)
        print('Too many open files', file=sys.stderr)
sys.stdin.readline()
for descriptor in taken:
    os.close(descriptor)
sys.stdin.readline()
assert zk.is_alive()
zk.close()
"""


def test_no_descriptors_for_a_moment(zookeeper, client, tmp_path):
    """getaddrinfo raises OSError then, which kazoo does not expect.

    Which one it is depends on nsswitch.conf(5): EMFILE, or EBUSY of a source
    of names that could not be asked.
    """
    witness = client()
    witness.ensure_path('/providers')
    node = '/providers/192.0.2.7:8080'
    with Corruption(zookeeper.connection_string) as proxy:
        where = proxy.connection_string.replace('127.0.0.1', 'localhost')
        environ = os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)}
        errors = tmp_path / 'errors'

        def has_failed():
            if 'OSError: ' in errors.read_text():
                return True
            # It may have had a descriptor for a new connection, that of the
            # last one, before the program took it.
            proxy.reset()
            return False

        with errors.open('w') as stderr, subprocess.Popen(
                [sys.executable, '-c', WITHOUT_DESCRIPTORS, where],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=stderr, text=True, env=environ) as process:
            assert process.stdout.readline() == 'out\n'
            # A connection that exists needs no more descriptors.
            witness.delete(node)
            wait_for(lambda: witness.exists(node))
            wait_for(has_failed, 60, errors.read_text, interval=1)
            with suppress(NoNodeError):  # the session may have expired
                witness.delete(node)
            print(file=process.stdin, flush=True)
            wait_for(lambda: witness.exists(node))
            print(file=process.stdin, flush=True)
            process.communicate(timeout=30)
    said = errors.read_text()
    assert process.returncode == 0, said
    assert 'Traceback' not in said


def test_requests_that_cannot_be_sent(zk, registration):
    """Fail a request without bytes for it; the connection stays."""
    states = []
    zk.client.add_listener(states.append)
    with pytest.raises(struct.error):
        zk.client.delete('/a', version=2 ** 40)
    with pytest.raises(UnicodeEncodeError):
        zk.client.exists('/\udcff')
    with pytest.raises(AttributeError):
        zk.client.create('/a', b'', acl=[None])
    assert zk.exists('/')
    assert states == []
    assert is_kept(zk, registration)


def test_a_watcher_that_exits(zk, registration, caplog):
    zk.client.create('/a')
    zk.client.exists('/a', watch=lambda event: sys.exit('a watcher'))
    zk.client.set('/a', b'x')
    wait_for(lambda: 'A watcher failed' in caplog.text)
    assert is_kept(zk, registration)


def test_a_listener_that_exits(zk, registration):
    heard = []

    def listen(state):
        heard.append(state)
        if len(heard) < 3:
            sys.exit('a listener')

    zk.client.add_listener(listen)
    zk.client._connection._socket.shutdown(2)
    wait_for(lambda: zk.client.connected and len(heard) >= 3)
    assert is_kept(zk, registration)


def test_tasks_that_exit(caplog):
    done = threading.Event()
    tasks = TaskThread('some tasks')
    tasks.put(lambda: sys.exit('a task'))
    tasks.put(done.set)
    assert done.wait(10)
    assert 'A task of some tasks failed' in caplog.text
    assert tasks.is_alive()
    tasks.close()
    tasks.join(10)
    assert not tasks.is_alive()


def test_a_task_thread_that_cannot_start(monkeypatch, caplog):
    """Start it with a later task: the limit of threads may be reached."""
    ran = []
    tasks = TaskThread('some tasks')
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', fail)
        assert tasks.put(lambda: ran.append(1))
    assert caplog.messages == ["some tasks: can't start new thread"]
    assert tasks.put(lambda: ran.append(2))
    wait_for(lambda: ran == [1, 2])
    tasks.close()
    tasks.join(10)


def fail(thread):
    raise RuntimeError("can't start new thread")


def test_is_alive(zookeeper):
    zk = zc.zk.ZooKeeper(zookeeper.connection_string)
    assert zk.is_alive()
    zk._registrar.close()
    assert not zk.is_alive()
    zk.close()
    assert not zk.is_alive()
