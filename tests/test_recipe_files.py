"""Files are written at once, only if wrong, and restored after a failure."""
from __future__ import annotations

import os
import stat

import pytest

from zc.zkzopeserver.recipe.files import File
from zc.zkzopeserver.recipe.files import FileTransaction
from zc.zkzopeserver.recipe.files import remove
from zc.zkzopeserver.recipe.files import remove_empty


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def listing(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_with_its_mode(tmp_path):
    path = tmp_path / 'deep' / 'a'
    with FileTransaction() as transaction:
        transaction.write(File(str(path), 'text\n', 0o640))
    assert path.read_text() == 'text\n'
    assert mode(path) == 0o640
    assert transaction.changed == [str(path)]
    assert listing(path.parent) == ['a']


def test_a_file_that_is_right_is_not_touched(tmp_path):
    path = tmp_path / 'a'
    file = File(str(path), 'text\n', 0o640)
    with FileTransaction() as transaction:
        transaction.write(file)
    os.utime(path, ns=(1, 1))
    before = os.stat(path)
    with FileTransaction() as transaction:
        transaction.write(file)
    after = os.stat(path)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, 1)
    assert transaction.changed == []


def test_a_wrong_mode_is_put_right(tmp_path):
    path = tmp_path / 'a'
    path.write_text('text\n')
    path.chmod(0o666)
    with FileTransaction() as transaction:
        transaction.write(File(str(path), 'text\n', 0o600))
    assert mode(path) == 0o600
    assert transaction.changed == [str(path)]


def test_a_failure_restores_all_files(tmp_path):
    old = tmp_path / 'old'
    old.write_text('before')
    old.chmod(0o604)
    os.utime(old, ns=(5, 5))
    script = tmp_path / 'script'
    with pytest.raises(RuntimeError), FileTransaction() as transaction:
        transaction.remember(str(script))
        script.write_text('made by zc.recipe.egg')
        transaction.write(File(str(old), 'after'),
                      File(str(tmp_path / 'new' / 'er' / 'x'), 'new'))
        assert old.read_text() == 'after'
        raise RuntimeError
    assert listing(tmp_path) == ['old']
    assert old.read_text() == 'before'
    assert mode(old) == 0o604
    assert os.stat(old).st_mtime_ns == 5


def test_nothing_is_replaced_when_one_cannot_be_written(tmp_path):
    old = tmp_path / 'old'
    old.write_text('before')
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError), FileTransaction() as transaction:
        transaction.write(File(str(old), 'after'),
                      File(str(tmp_path / 'file' / 'x'), 'no'))
    assert old.read_text() == 'before'
    assert listing(tmp_path) == ['file', 'old']


def test_a_remembered_file_counts_as_changed_only_if_it_is(tmp_path):
    same, other = tmp_path / 'same', tmp_path / 'other'
    same.write_text('x')
    with FileTransaction() as transaction:
        transaction.remember(str(same), str(other))
        other.write_text('new')
        transaction.note_changes([str(same), str(other)])
    assert transaction.changed == [str(other)]


@pytest.mark.skipif(os.geteuid() != 0, reason='only root gives files away')
def test_root_gives_files_to_their_owner(tmp_path):
    path = tmp_path / 'a'
    with FileTransaction() as transaction:
        transaction.write(File(str(path), 'x', 0o640, (1234, 4321)))
    found = os.stat(path)
    assert (found.st_uid, found.st_gid) == (1234, 4321)
    with FileTransaction() as transaction:
        transaction.write(File(str(path), 'x', 0o640, (1234, 4321)))
    assert transaction.changed == []


def test_removing(tmp_path):
    (tmp_path / 'd').mkdir()
    (tmp_path / 'd' / 'a').write_text('')
    remove([str(tmp_path / 'd' / 'a'), str(tmp_path / 'none')])
    remove_empty(str(tmp_path / 'd'))
    remove_empty(str(tmp_path / 'none'))
    assert listing(tmp_path) == []
