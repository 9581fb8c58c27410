"""Locks on a pid file: who holds them, also where hosts share the file."""
import fcntl
import subprocess
import sys

import pytest

from zc.zkzopeserver import locks
from zc.zkzopeserver.errors import NotProvenError

# Takes both locks of a file, says so, and waits.
HOLD = '''
import os, sys
from zc.zkzopeserver import locks
fd = os.open(sys.argv[1], os.O_RDWR)
print(locks.take(fd), flush=True)
sys.stdin.read()
'''


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'web.pid'
    path.write_text('1\n')
    return path


@pytest.fixture
def file(path):
    with path.open('r+b') as file:
        yield file


@pytest.fixture
def holder(path):
    """A process that has taken the locks."""
    with subprocess.Popen([sys.executable, '-c', HOLD, str(path)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={'PYTHONPATH': ':'.join(sys.path)}) as process:
        assert process.stdout.readline() == b'True\n'
        yield process
        process.stdin.close()


@pytest.fixture
def shared(monkeypatch):
    """The file is on a file system that hosts share.

    None can be mounted in most places where tests run, so that it is only
    said to be one.
    """
    monkeypatch.setattr(locks, 'file_system', lambda fd: 'nfs4')


def test_the_kernel_tells_the_holder(path, file, holder):
    """The number in the file, 1, is not believed."""
    assert locks.holder(file.fileno(), str(path), 1) == holder.pid
    assert locks.is_locked(file.fileno())
    assert not locks.take(file.fileno())


def test_a_lock_ends_with_its_process(path, file, holder):
    holder.kill()
    holder.wait()
    assert locks.holder(file.fileno(), str(path), 1) is None
    assert locks.take(file.fileno())


def test_a_file_system_that_hosts_share(path, file, holder, shared):
    """A process that has the file open is of this host."""
    assert locks.holder(file.fileno(), str(path), 1) == holder.pid


def test_a_process_of_another_host(path, file, holder, shared, monkeypatch):
    """Its number is that of a process here, which has not the file open."""
    with subprocess.Popen(['sleep', '60']) as stranger:
        monkeypatch.setattr(locks, 'record_holder', lambda fd: stranger.pid)
        with pytest.raises(NotProvenError, match='cannot be seen from here'):
            locks.holder(file.fileno(), str(path), stranger.pid)
        stranger.kill()


def test_only_a_record_lock_is_taken_there(file, holder, shared, path):
    """NFS makes a record lock of a BSD lock, which would meet ours."""
    assert not locks.is_flocked(file.fileno())
    holder.kill()
    holder.wait()
    assert locks.take(file.fileno())
    with path.open('rb') as another:
        fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_type_of_a_file_system(file):
    """proc(5) has a line for each."""
    assert locks.file_system(file.fileno()) not in ('', *locks.NETWORK)
    with open('/proc/self/status', 'rb') as of_proc:
        assert locks.file_system(of_proc.fileno()) == 'proc'
