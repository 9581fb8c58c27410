"""Test that commands write no file that another user has chosen."""
import os
import stat
import subprocess
import sys

import pytest
from zc.zk.safefiles import real_path
from zc.zk.safefiles import replace

NOBODY = 65534

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root can make files of another user')


@pytest.fixture
def shared(tmp_path):
    """Return a directory that others may write, as /tmp."""
    folder = tmp_path / 'shared'
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def link_of_another(path, target):
    path.symlink_to(target)
    os.lchown(path, NOBODY, NOBODY)


def test_a_new_file_obeys_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        replace(str(tmp_path / 'a'), b'x', None)
    finally:
        os.umask(before)
    assert (tmp_path / 'a').read_bytes() == b'x'
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == 0o640


def test_an_old_file_keeps_its_mode(tmp_path):
    file = tmp_path / 'a'
    file.write_text('old')
    file.chmod(0o604)
    replace(str(file), b'x', None)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (
        b'x', 0o604)
    replace(str(file), b'y', 0o600)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (
        b'y', 0o600)
    assert os.listdir(tmp_path) == ['a']


@pytest.mark.parametrize('path', [
    'b/c', './b/../b/./c', 'up/b/c', 'to_b/c', 'b/to_c', 'absolute/c'])
def test_our_links_are_followed(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'b').mkdir()
    (tmp_path / 'up').symlink_to('b/..')
    (tmp_path / 'to_b').symlink_to('up/b/')
    (tmp_path / 'absolute').symlink_to(tmp_path / 'b')
    (tmp_path / 'b' / 'to_c').symlink_to('../absolute/c')
    replace(path, b'x', None)
    assert (tmp_path / 'b' / 'c').read_bytes() == b'x'
    assert real_path(path) == str(tmp_path / 'b' / 'c')
    assert (tmp_path / 'b' / 'to_c').is_symlink()


def test_links_that_run_in_a_circle(tmp_path):
    (tmp_path / 'a').symlink_to('b')
    (tmp_path / 'b').symlink_to('a')
    with pytest.raises(OSError, match='Too many levels'):
        replace(str(tmp_path / 'a'), b'x', None)


@pytest.mark.parametrize('path', ['', '.', 'a/', '/', 'a/..'])
def test_what_is_no_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a').mkdir()
    with pytest.raises(OSError, match='Is a directory'):
        replace(path, b'x', None)


@needs_root
def test_links_of_others_are_not_followed(tmp_path, shared):
    secret = tmp_path / 'secret'
    secret.write_text('ours')
    link_of_another(shared / 'a', secret)
    with pytest.raises(OSError, match='symbolic link of another user'):
        replace(str(shared / 'a'), b'x', None)
    link_of_another(shared / 'b', tmp_path)
    with pytest.raises(OSError, match='symbolic link of another user'):
        replace(str(shared / 'b' / 'secret'), b'x', None)
    with pytest.raises(OSError, match='symbolic link of another user'):
        real_path(str(shared / 'a'))
    # By way of a link of ours, too.
    (tmp_path / 'c').symlink_to(shared / 'a')
    with pytest.raises(OSError, match='symbolic link of another user'):
        replace(str(tmp_path / 'c'), b'x', None)
    assert secret.read_text() == 'ours'
    assert sorted(os.listdir(shared)) == ['a', 'b']


@needs_root
def test_links_of_others_where_only_we_may_write(tmp_path):
    """Somebody we trust has put them there."""
    target = tmp_path / 'target'
    link_of_another(tmp_path / 'a', target)
    tmp_path.chmod(0o755)
    replace(str(tmp_path / 'a'), b'x', None)
    assert target.read_bytes() == b'x'


@needs_root
def test_pipes_of_others_are_not_written_to(shared):
    os.mkfifo(shared / 'a')
    os.chown(shared / 'a', NOBODY, NOBODY)
    with pytest.raises(OSError, match='a file of another user'):
        replace(str(shared / 'a'), b'x', None)


@needs_root
def test_the_mode_of_a_file_of_another_user_is_not_kept(shared):
    file = shared / 'a'
    file.write_text('theirs')
    os.chown(file, NOBODY, NOBODY)
    file.chmod(0o666)
    before = os.umask(0o077)
    try:
        replace(str(file), b'x', None)
    finally:
        os.umask(before)
    assert file.stat().st_uid == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize('path', [
    '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])
def test_standard_output_by_name(tmp_path, path):
    code = ('import sys; from zc.zk.safefiles import replace;'
            ' replace(sys.argv[1], b"x", None)')
    command = [sys.executable, '-c', code, path]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        filter(None, sys.path))}
    assert subprocess.check_output(command, env=environment) == b'x'
    with open(tmp_path / 'file', 'ab') as file:
        file.write(b'a')
        file.flush()
        subprocess.check_call(command, env=environment, stdout=file)
    assert (tmp_path / 'file').read_bytes() == b'ax'


def test_devices_are_written_to():
    replace('/dev/null', b'x', None)
    with pytest.raises(OSError, match='No space left'):
        replace('/dev/full', b'x', None)


def test_nothing_is_left_of_a_write_that_fails(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise OSError('disk full')

    (tmp_path / 'a').write_text('old')
    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        replace(str(tmp_path / 'a'), b'x', None)
    assert os.listdir(tmp_path) == ['a']
    assert (tmp_path / 'a').read_text() == 'old'
