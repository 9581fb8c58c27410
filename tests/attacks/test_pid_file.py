"""Attacks on the pid file by users who may only read it."""
import contextlib
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import write_ini

from zc.zkzopeserver import locks
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.errors import StartError

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != 'linux',
    reason='only root of Linux can attack as another user')

# As another user: take all locks on a file that its reader can have, tell,
# and keep them.
ATTACK = """\
import fcntl, os, sys
path, uid, kinds = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.setgroups([]); os.setgid(uid); os.setuid(uid)
file = open(path, 'rb')
if 'b' in kinds:
    fcntl.flock(file, fcntl.LOCK_EX)
if 's' in kinds:
    fcntl.flock(file, fcntl.LOCK_SH)
if 'r' in kinds:
    fcntl.lockf(file, fcntl.LOCK_SH)
print(flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def attacker(path, kinds):
    """Yield a process of another user that has the file locked."""
    uid = pwd.getpwnam('nobody').pw_uid
    with subprocess.Popen(
            [sys.executable, '-c', ATTACK, str(path), str(uid), kinds],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True) as process:
        try:
            assert process.stdout.readline() == '\n'
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder():
    """A folder that every user may read."""
    with tempfile.TemporaryDirectory(prefix='zk') as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture
def stale(folder):
    """Return a function: a pid file with a number, and nobody's lock."""
    def make(pid):
        path = folder / 'web.pid'
        path.write_text(f'{pid}\n')
        path.chmod(0o644)
        return path
    return make


KINDS = pytest.mark.parametrize('kinds', ['b', 's', 'r', 'br', 'sr'])


@KINDS
def test_a_dead_server_does_not_count_as_alive(stale, kinds):
    """The attacker has got the number of the dead server for itself."""
    path = stale(1)
    with attacker(path, kinds) as process:
        path.write_text(f'{process.pid}\n')
        assert pidfile.read(str(path)) == pidfile.PidFile(process.pid, False)


@KINDS
def test_a_stranger_that_has_the_number_is_not_ended(stale, kinds):
    """It even has the file open, as the proof for old releases wants it."""
    path = stale(1)
    with open(path, 'rb') as file, \
            subprocess.Popen(['sleep', '60'], stdin=file) as innocent:
        path.write_text(f'{innocent.pid}\n')
        try:
            with attacker(path, kinds):
                read = pidfile.read(str(path))
                assert read == pidfile.PidFile(innocent.pid, False)
        finally:
            innocent.kill()


@KINDS
def test_a_new_server_gets_the_file(stale, kinds, caplog):
    path = stale(99_999_999)
    with attacker(path, kinds):
        with pidfile.held(str(path), 'web.ini') as had:
            assert had and not caplog.records
            assert path.read_text() == f'{os.getpid()}\n'
            assert path.stat().st_mode & 0o777 == 0o644
            # The server's own locks keep others out.
            code = ('import sys; from zc.zkzopeserver.cli import pidfile;'
                    'print(pidfile.read(sys.argv[1]))')
            said = subprocess.run(
                [sys.executable, '-c', code, str(path)], text=True,
                check=True, stdout=subprocess.PIPE, env={
                    **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
            assert said.stdout == f'{pidfile.PidFile(os.getpid(), True)}\n'
        assert not path.exists()


@KINDS
def test_the_file_of_a_dead_server_is_removed(stale, kinds):
    path = stale(99_999_999)
    with attacker(path, kinds):
        pidfile.clear(str(path))
    assert not path.exists()


def test_a_fork_of_the_owner_is_no_stranger(stale):
    """An older release's server: it has the BSD lock alone."""
    path = stale(1)
    code = ('import fcntl, sys; file = open(sys.argv[1]);'
            'fcntl.flock(file, fcntl.LOCK_EX);'
            'print(flush=True); sys.stdin.read()')
    with subprocess.Popen([sys.executable, '-c', code, str(path)], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == '\n'
        path.write_text(f'{server.pid}\n')
        with path.open('rb') as file:
            assert locks.flock_holders(file.fileno()) == [server.pid]
            assert not locks.is_strangers(file.fileno())
        assert pidfile.read(str(path)) == pidfile.PidFile(server.pid, True)
        with pidfile.held(str(path), 'web.ini') as had:
            assert not had


def test_a_start_does_not_wait_for_readers_of_the_ini(folder, monkeypatch):
    monkeypatch.setattr(zdaemon, 'LAUNCH_S', 0.1)
    path = folder / 'web.ini'
    path.write_text('')
    path.chmod(0o644)
    with attacker(path, 'b'), zdaemon.locked(str(path)):
        pass
    with zdaemon.locked(str(path)), \
            pytest.raises(StartError, match='has it locked'), \
            zdaemon.locked(str(path)):
        pass


@pytest.mark.parametrize('verb, status, words', [
    ('status', 1, 'dead'), ('stop', 0, 'not running'),
    ('logreopen', 0, 'not running')])
def test_the_verbs_see_the_truth(embedded, embedded_tree, folder, stale,
                                 verb, status, words):
    path = stale(1)
    with attacker(path, 'br') as process:
        path.write_text(f'{process.pid}\n')
        with script(write_ini(folder, embedded.connection_string)) as web:
            assert words in web(verb, status=status)
        assert process.poll() is None
