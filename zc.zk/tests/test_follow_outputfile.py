"""The file that a proxy reads: whole, or the old one; one writer."""
import contextlib
import ctypes
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from zc.zk.follow.outputfile import InUse
from zc.zk.follow.outputfile import OutputFile
from zc.zk.testing.waiting import wait_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'cms.conf'


@pytest.fixture
def file(path):
    file = OutputFile(path)
    yield file
    file.close()


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


def test_a_new_file(file, path):
    assert file.read() is None
    file.write('a\n')
    assert file.read() == path.read_text() == 'a\n'
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path) == ['.cms.conf.follow', 'cms.conf']


def test_mode_and_owner_stay(file, path):
    path.write_text('old')
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 1, 2)
    before = path.stat()
    file.write('new')
    after = path.stat()
    assert after.st_mode == before.st_mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_set_user_id_bit_does_not_stay(file, path):
    path.write_text('old')
    path.chmod(0o4755)
    file.write('new')
    assert path.stat().st_mode & 0o7777 == 0o755


def make_device(path):
    if os.getuid():
        pytest.skip('only root can make a device')
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize('make', [os.mkfifo, make_device, make_socket])
def test_what_is_no_file_is_neither_waited_for_nor_replaced(make, file, path):
    make(path)
    before = path.lstat()
    with pytest.raises(OSError):
        OutputFile(path)
    with pytest.raises(OSError):
        file.read()
    assert path.lstat().st_ino == before.st_ino
    assert path.lstat().st_mode == before.st_mode


def test_dev_null_is_refused():
    with pytest.raises(OSError, match='no regular file'):
        OutputFile('/dev/null')


def test_a_symbolic_link_stays(tmp_path):
    (tmp_path / 'real').mkdir()
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'real' / 'file')
    file = OutputFile(link)
    file.write('a')
    file.close()
    assert link.is_symlink()
    assert (tmp_path / 'real' / 'file').read_text() == 'a'


LOCKS = '''
import sys
from zc.zk.follow.outputfile import OutputFile
OutputFile(sys.argv[1])
print('locked', flush=True)
sys.stdin.read()
'''


@contextlib.contextmanager
def another_process(path):
    process = subprocess.Popen(
        [sys.executable, '-c', LOCKS, str(path)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)})
    try:
        assert process.stdout.readline() == b'locked\n'
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_process_keeps_it(path):
    with another_process(path), pytest.raises(
            InUse, match='another zookeeper_follow keeps this'):
        OutputFile(path)
    OutputFile(path).close()


def test_a_child_of_a_killed_process_does_not_keep_it(path):
    # Between fork(2) and exec(2) a command has all descriptors.
    with contextlib.closing(OutputFile(path)) as file:
        os.set_inheritable(file._lock, True)
        child = subprocess.Popen(['sleep', '60'], close_fds=False)
    try:
        # Here the lock is gone with the close; a killed process closes, too.
        with another_process(path):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_lock_that_is_a_link_is_not_followed(path, tmp_path):
    target = tmp_path / 'precious'
    work = path.with_name('.cms.conf.follow')
    work.mkdir()
    (work / 'lock').symlink_to(target)
    with pytest.raises(OSError, match='ymbolic link'):
        OutputFile(path)
    assert not target.exists()


def test_a_full_disk_leaves_the_old_file(file, path):
    file.write('old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match='too large'):
            file.write('x' * 10000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == 'old'
    assert names(path) == ['.cms.conf.follow', 'cms.conf']


#: Events of inotify(7).
IN_MODIFY, IN_CREATE = 0x2, 0x100
IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE = 0x40, 0x80, 0x200


@contextlib.contextmanager
def watching(folder):
    """Yield a list; the events of the folder are in it after the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(
        handle, os.fsencode(folder), IN_MODIFY | IN_CREATE | IN_MOVED_FROM
        | IN_MOVED_TO | IN_DELETE) >= 0
    found = []
    try:
        yield found
        data = os.read(handle, 2 ** 16)
    finally:
        os.close(handle)
    while data:
        _, mask, _, length = struct.unpack_from('iIII', data)
        name = data[16:16 + length].rstrip(b'\0').decode()
        found.append((mask, name))
        data = data[16 + length:]


def test_a_watcher_of_the_folder_is_woken_by_the_whole_file(file, path):
    # Traefik reads all files at each event, and then none for its throttle.
    file.write('old')
    with watching(path.parent) as events:
        file.write('new')
        with file.keeping() as put_back:
            file.write('newer')
            put_back()
    # Equal events in a row are one: inotify(7).
    assert events == [(IN_MOVED_TO, 'cms.conf')]


def test_what_a_killed_process_left(path):
    with contextlib.closing(OutputFile(path)) as file:
        work = file.work
        (work / 'new').write_text('half')
        (work / 'old').write_text('older')
    with contextlib.closing(OutputFile(path)) as file:
        file.write('new')
        with file.keeping() as put_back:
            file.write('newer')
            put_back()
    assert path.read_text() == 'new'
    assert [each.name for each in work.iterdir()] == ['lock']


def test_a_folder_of_somebody_else_is_not_used(path, tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    work = path.with_name('.cms.conf.follow')
    work.symlink_to(elsewhere)
    with pytest.raises(PermissionError, match='not a folder of the user'):
        OutputFile(path)
    assert list(elsewhere.iterdir()) == []
    if os.geteuid() == 0:
        work.unlink()
        work.mkdir()
        os.chown(work, 1000, 1000)
        with pytest.raises(PermissionError, match='not a folder of the user'):
            OutputFile(path)


def test_what_is_put_back(file, path):
    file.write('old')
    inode = path.stat().st_ino
    with file.keeping() as put_back:
        file.write('new')
        assert path.read_text() == 'new'
        put_back()
        assert path.read_text() == 'old'
        assert path.stat().st_ino == inode
    assert names(path) == ['.cms.conf.follow', 'cms.conf']
    with file.keeping():
        file.write('new')
    assert path.read_text() == 'new'
    assert names(path) == ['.cms.conf.follow', 'cms.conf']


def test_nothing_is_put_back_where_nothing_was(file, path):
    with file.keeping() as put_back:
        file.write('new')
        put_back()
        assert not path.exists()
        put_back()


def test_bytes_that_are_no_text_differ(file, path):
    path.write_bytes(b'\xff')
    assert file.read() == '\ufffd'


KILLED = '''
import itertools, sys
from zc.zk.follow.outputfile import OutputFile
file = OutputFile(sys.argv[1])
for number in itertools.count():
    with file.keeping() as put_back:
        file.write(f'{number % 10}' * 50000 + '\\n')
        if number % 3 == 0:
            put_back()
'''


@pytest.mark.parametrize('after', [.0, .003, .01, .02, .05])
def test_whoever_is_killed_leaves_a_whole_file(path, after):
    path.write_text('9' * 50000 + '\n')
    process = subprocess.Popen(
        [sys.executable, '-c', KILLED, str(path)],
        env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)})
    try:
        # The lock is there before the first file is written.
        wait_for(lambda: path.with_name('.cms.conf.follow').exists())
        threading.Event().wait(after)
    finally:
        process.kill()
        process.wait()
    text = path.read_text()
    assert text == text[0] * 50000 + '\n'
    assert names(path) == ['.cms.conf.follow', 'cms.conf']


def test_a_reader_sees_whole_files_only(file, path):
    file.write('0' * 50000)
    done = threading.Event()

    def write():
        for number in range(100):
            file.write(str(number % 10) * 50000)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        text = Path(path).read_text()
        assert text == text[0] * 50000
    thread.join()
