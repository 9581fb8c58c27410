"""Write the files of a part: all or none, and only those that are wrong.

root may run buildout, and another user may own what is written: no call here
names a file in a way by which that user could lead it elsewhere.  Each works
in a directory that is open, and with a descriptor of the file.
"""
from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from collections.abc import Iterator

from zc.zkzopeserver import directories

Owner = tuple[int, int]

# A file of another kind (a FIFO, a device) is not waited for.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
STAGE = (os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)


@dataclasses.dataclass(frozen=True)
class File:
    """A file as it should be.

    `owner` is (uid, gid), or None for the user that runs buildout.  Only root
    can set it; for other users it is ignored.
    """

    path: str
    text: str
    mode: int = 0o644
    owner: Owner | None = None


class FileTransaction:
    """A context in which files are written, and restored if it fails.

    `changed` has the paths whose content, mode or owner has changed.  Files
    that zc.recipe.egg writes in the context are restored, too, if `remember`
    was called for them before.
    """

    def __init__(self) -> None:
        self.changed: list[str] = []
        self._before: dict[str, _Snapshot | None] = {}
        self._directories: list[str] = []

    def __enter__(self) -> FileTransaction:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.undo()

    def remember(self, *paths: str) -> None:
        """Take a snapshot of each file, for `undo` and `note_changes`."""
        for path in paths:
            if path not in self._before:
                self._before[path] = None
                with contextlib.suppress(NotAFile):
                    self._before[path] = _Snapshot.of(path)

    def make_way(self, path: str, owner: Owner | None) -> None:
        """Prepare for another program that writes to `path` by its name.

        Make its directory.  Remove what is there if it is no file, or not
        the owner's, who could have it open for writing.
        """
        self.remember(path)
        self.make_directory(os.path.dirname(path))
        with _directory(path) as (directory, name):
            try:
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                return
            if not stat.S_ISREG(found.st_mode) or (
                    owner is not None and is_root()
                    and (found.st_uid, found.st_gid) != owner):
                os.unlink(name, dir_fd=directory)

    def note_changes(self, paths: Iterable[str]) -> None:
        """Add the paths whose file differs from its snapshot to `changed`."""
        self.changed += [path for path in paths
                         if self._before.get(path) != _Snapshot.of(path)]

    def write(self, *files: File) -> None:
        """Write the files that are wrong.

        All contents are written to temporary files first, then each file is
        replaced at once by a rename.
        """
        wrong = [file for file in files if not _is_right(file)]
        self.remember(*(file.path for file in wrong))
        for file in wrong:
            self.make_directory(os.path.dirname(file.path))
        with contextlib.ExitStack() as stack:
            staged = [stack.enter_context(_Staged(
                file.path, file.text.encode('utf-8'), file.mode, file.owner))
                for file in wrong]
            for each in staged:
                each.put()
                self.changed.append(each.path)

    def make_directory(self, path: str) -> None:
        """Make the directory and its parents, those that are missing."""
        if os.path.isdir(path):
            return
        self.make_directory(os.path.dirname(path))
        with _directory(path) as (directory, name):
            os.mkdir(name, dir_fd=directory)
        self._directories.append(path)

    def restrict(self, path: str, mode: int, owner: Owner | None) -> None:
        """Set mode and owner of a file that another program has written."""
        fd = _open(path)
        try:
            _own(fd, owner)
            if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
                os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def undo(self) -> None:
        """Restore the files, and remove the new files and directories."""
        for path, copy in self._before.items():
            if copy is not None:
                copy.restore(path)
            else:
                remove([path])
        for path in reversed(self._directories):
            remove_empty(path)
        self.changed.clear()


def has_text(path: str, text: str) -> bool:
    """Return whether there is a readable file with this text."""
    try:
        return _read(path) == text.encode('utf-8')
    except OSError:
        return False


def keep_private(path: str, text: str) -> None:
    """Take a file away from the group and from others.

    If it is missing, make it with `text`, for a program that will write to it
    by its name.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        with _Staged(path, text.encode('utf-8'), 0o600, None) as staged:
            staged.put()
        return
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & 0o077:
            os.fchmod(fd, mode & 0o700)
    finally:
        os.close(fd)


def remove(paths: Iterable[str]) -> None:
    """Remove the files; a missing one is no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError), \
                _directory(path) as (directory, name):
            os.unlink(name, dir_fd=directory)


def remove_empty(path: str) -> None:
    """Remove the directory if it is empty."""
    with contextlib.suppress(OSError), _directory(path) as (directory, name):
        os.rmdir(name, dir_fd=directory)


@contextlib.contextmanager
def _directory(path: str) -> Iterator[tuple[int, str]]:
    """Yield (descriptor of the directory, name of the file in it)."""
    fd, name = _parent(path)
    try:
        yield fd, name
    except OSError as error:
        # Each call has had the name alone.
        error.filename = path
        raise
    finally:
        os.close(fd)


def _parent(path: str) -> tuple[int, str]:
    parent, name = os.path.split(os.path.abspath(path))
    try:
        return directories.open_directory(parent), name
    except OSError as error:
        error.filename = path
        raise


class NotAFile(OSError):
    """What is there is a link, a FIFO or the like."""


def _open(path: str) -> int:
    """Return a descriptor of a regular file; NotAFile for any other."""
    with _directory(path) as (directory, name):
        try:
            fd = os.open(name, READ, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise NotAFile(error.errno, 'not a regular file') from None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotAFile(errno.EINVAL, 'not a regular file')
    return fd


def _read(path: str) -> bytes:
    with open(_open(path), 'rb') as file:
        return file.read()


@dataclasses.dataclass(frozen=True)
class _Snapshot:
    """A file as it was; times are (accessed, modified) in nanoseconds."""

    content: bytes
    mode: int
    owner: Owner
    times: tuple[int, int] = dataclasses.field(compare=False)

    @classmethod
    def of(cls, path: str) -> _Snapshot | None:
        try:
            with open(_open(path), 'rb') as file:
                found = os.fstat(file.fileno())
                return cls(file.read(), stat.S_IMODE(found.st_mode),
                           (found.st_uid, found.st_gid),
                           (found.st_atime_ns, found.st_mtime_ns))
        except FileNotFoundError:
            return None

    def restore(self, path: str) -> None:
        if _Snapshot.of(path) == self:
            return
        with _Staged(path, self.content, self.mode, self.owner,
                     self.times) as staged:
            staged.put()


class _Staged:
    """A temporary file beside `path`, which `put` makes the file at `path`.

    It has its content, mode and owner before it has its name.
    """

    def __init__(self, path: str, content: bytes, mode: int,
                 owner: Owner | None,
                 times: tuple[int, int] | None = None) -> None:
        self.path = path
        self._directory, self._name = _parent(path)
        self._temporary = f'.{self._name}.{secrets.token_hex(8)}'
        try:
            fd = os.open(self._temporary, STAGE, 0o600,
                         dir_fd=self._directory)
            with open(fd, 'wb') as file:
                file.write(content)
                _own(fd, owner)
                os.fchmod(fd, mode)
                if times:
                    file.flush()
                    os.utime(fd, ns=times)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                error.filename = path
            raise

    def __enter__(self) -> _Staged:
        return self

    def put(self) -> None:
        try:
            os.replace(self._temporary, self._name,
                       src_dir_fd=self._directory,
                       dst_dir_fd=self._directory)
        except OSError as error:
            error.filename = self.path
            raise

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary, dir_fd=self._directory)
        os.close(self._directory)


def _is_right(file: File) -> bool:
    try:
        copy = _Snapshot.of(file.path)
    except NotAFile:
        return False
    return (copy is not None and copy.content == file.text.encode('utf-8')
            and copy.mode == file.mode
            and (file.owner is None or not is_root()
                 or copy.owner == file.owner))


def _own(fd: int, owner: Owner | None) -> None:
    """Give an open file to its owner, if only root may."""
    if owner is None or not is_root():
        return
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != owner:
        os.fchown(fd, *owner)


def is_root() -> bool:
    """Return whether this process may change the owner of a file."""
    return os.geteuid() == 0
