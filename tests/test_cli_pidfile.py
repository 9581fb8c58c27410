"""The pid file, held by this process and by others."""
import contextlib
import os
import resource
import subprocess
import sys

import pytest

from zc.zkzopeserver.cli import pidfile

HOLD = '''
import sys
from zc.zkzopeserver.cli import pidfile
with pidfile.held(sys.argv[1], 'web.ini') as had:
    print(had, flush=True)
    sys.stdin.read()
'''


@contextlib.contextmanager
def holder(path):
    """Yield a process that tries to hold the pid file until its stdin ends.

    `had` is whether it holds the file.
    """
    with subprocess.Popen(
            [sys.executable, '-c', HOLD, str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ,
                 'PYTHONPATH': os.pathsep.join(sys.path)}) as process:
        process.had = process.stdout.readline().strip() == 'True'
        try:
            yield process
        finally:
            process.kill()


def test_a_pid_file_of_another_process(tmp_path):
    path = str(tmp_path / 'web.pid')
    with holder(path) as process:
        assert process.had
        assert pidfile.read(path) == pidfile.PidFile(process.pid, True)
        assert (tmp_path / 'web.pid').read_text() == f'{process.pid}\n'
        process.stdin.close()
        assert process.wait() == 0
    assert pidfile.read(path) is None
    assert not os.path.exists(path)


def test_what_a_killed_process_leaves(tmp_path):
    path = str(tmp_path / 'web.pid')
    with holder(path) as process:
        process.kill()
        process.wait()
    assert pidfile.read(path) == pidfile.PidFile(process.pid, False)


def test_a_number_that_was_given_again_is_no_sign_of_life(tmp_path):
    path = tmp_path / 'web.pid'
    path.write_text(f'{os.getpid()}\n')
    assert pidfile.read(str(path)) == pidfile.PidFile(os.getpid(), False)


def test_only_one_process_has_it(tmp_path, caplog):
    path = str(tmp_path / 'web.pid')
    with holder(path) as first, pidfile.held(path, 'web.ini') as had:
        assert not had
        assert (f'pid {first.pid} serves web.ini already and has {path}: '
                in caplog.text)
        assert f'not this one, pid {os.getpid()}.' in caplog.text
        assert pidfile.read(path) == pidfile.PidFile(first.pid, True)
    # This process has not removed the file of the other one.
    assert pidfile.read(path) == pidfile.PidFile(first.pid, False)


def test_a_stale_one_is_taken_over(tmp_path):
    path = tmp_path / 'web.pid'
    path.write_text('99999999 and more\n')
    with pidfile.held(str(path), 'web.ini') as had:
        assert had
        assert path.read_text() == f'{os.getpid()}\n'
    assert not path.exists()


# As HOLD, of an application that has forked; the fork ends with its stdin.
FORK = """
import os, sys, time
from zc.zkzopeserver.cli import pidfile
with pidfile.held(sys.argv[1], 'web.ini') as had:
    if os.fork():
        print(had, flush=True)
        time.sleep(600)
    sys.stdin.read()
    os._exit(0)
"""


def test_a_fork_that_is_left_does_not_keep_it(tmp_path, monkeypatch):
    path = str(tmp_path / 'web.pid')
    monkeypatch.setattr(sys.modules[__name__], 'HOLD', FORK)
    with holder(path) as process:
        assert process.had
        process.kill()
        process.wait()
        # The fork has the BSD lock until its stdin ends.
        assert pidfile.read(path) == pidfile.PidFile(process.pid, False)
        with pidfile.held(path, 'web.ini') as had:
            assert had
            assert pidfile.read(path) == pidfile.PidFile(os.getpid(), True)
        assert not os.path.exists(path)


def test_one_that_was_removed_meanwhile_is_left_alone(tmp_path):
    path = tmp_path / 'web.pid'
    with pidfile.held(str(path), 'web.ini'):
        path.unlink()
        path.write_text('1\n')
    assert path.read_text() == '1\n'


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_serve(
        tmp_path, caplog):
    path = str(tmp_path / 'nosuch' / 'web.pid')
    with pidfile.held(path, 'web.ini') as had:
        assert not had
    assert f'no pid file: {path}: No such file' in caplog.text


def test_a_disk_that_is_full_is_no_reason_not_to_serve(tmp_path, caplog):
    path = str(tmp_path / 'x.pid')
    # Creating the file works, as on a full disk, and writing does not.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pidfile.held(path, 'x.ini') as is_held:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert is_held
            # The lock tells who it is.
            assert in_another_process(path) == (os.getpid(), True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not os.path.exists(path)
    assert 'it stays empty' in caplog.text


def in_another_process(path):
    """Return the pid of a pid file and whether it lives, as a verb reads it.

    A lock does not show in the process that has it.
    """
    code = ('import sys; from zc.zkzopeserver.cli import pidfile;'
            ' found = pidfile.read(sys.argv[1]);'
            ' print(found.pid, found.is_alive)')
    pid, is_alive = subprocess.run(
        [sys.executable, '-c', code, path], check=True, capture_output=True,
        text=True).stdout.split()
    return int(pid), is_alive == 'True'


def test_a_file_that_has_another_name_is_not_written_to(tmp_path):
    other, path = tmp_path / 'precious', tmp_path / 'x.pid'
    other.write_text('data\n')
    other.chmod(0o600)
    os.link(other, path)
    with pidfile.held(str(path), 'x.ini') as is_held:
        assert is_held
        assert path.read_text() == f'{os.getpid()}\n'
    assert other.read_text() == 'data\n'
    assert other.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_link_is_not_followed(tmp_path, caplog):
    (tmp_path / 'web.pid').symlink_to(tmp_path / 'precious')
    (tmp_path / 'precious').write_text('1')
    with pidfile.held(str(tmp_path / 'web.pid'), 'web.ini') as had:
        assert not had
    assert (tmp_path / 'precious').read_text() == '1'


@pytest.mark.parametrize('text', ['', 'x', '-1', '0', '1 2', '\xff'])
def test_what_is_no_pid_file(tmp_path, text):
    path = tmp_path / 'web.pid'
    path.write_text(text)
    assert pidfile.read(str(path)) is None


def test_clearing_what_was_left(tmp_path):
    path = tmp_path / 'web.pid'
    path.write_text('99999999\n')
    pidfile.clear(str(path))
    assert not path.exists()
    pidfile.clear(str(path))


def test_clearing_is_for_the_dead(tmp_path):
    path = str(tmp_path / 'web.pid')
    with holder(path) as process:
        pidfile.clear(path)
        assert pidfile.read(path) == pidfile.PidFile(process.pid, True)
