"""Write the files of a part: all or none, and only those that are wrong."""
from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import tempfile
from collections.abc import Iterable

Owner = tuple[int, int]


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
            self._before.setdefault(path, _Snapshot.of(path))

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
        staged: list[str] = []
        try:
            for file in wrong:
                staged.append(_stage(file))
            for file, name in zip(wrong, staged, strict=True):
                os.replace(name, file.path)
                self.changed.append(file.path)
        finally:
            for name in staged:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)

    def make_directory(self, path: str) -> None:
        """Make the directory and its parents, those that are missing."""
        if os.path.isdir(path):
            return
        self.make_directory(os.path.dirname(path))
        os.mkdir(path)
        self._directories.append(path)

    def restrict(self, path: str, mode: int, owner: Owner | None) -> None:
        """Set mode and owner of a file, unless `mode` is 0."""
        if mode and os.stat(path).st_mode & 0o777 != mode:
            os.chmod(path, mode)
        if mode:
            _own(path, owner)

    def undo(self) -> None:
        """Restore the files, and remove the new files and directories."""
        for path, copy in self._before.items():
            if copy is not None:
                copy.restore(path)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        for path in reversed(self._directories):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        self.changed.clear()


def has_text(path: str, text: str) -> bool:
    """Return whether there is a readable file with this text."""
    try:
        with open(path, 'rb') as file:
            return file.read() == text.encode('utf-8')
    except OSError:
        return False


def remove(paths: Iterable[str]) -> None:
    """Remove the files; a missing one is no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def remove_empty(directory: str) -> None:
    """Remove the directory if it is empty."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)


@dataclasses.dataclass(frozen=True)
class _Snapshot:
    content: bytes
    mode: int
    owner: Owner
    times: tuple[int, int] = dataclasses.field(compare=False)

    @classmethod
    def of(cls, path: str) -> _Snapshot | None:
        try:
            with open(path, 'rb') as file:
                found = os.fstat(file.fileno())
                return cls(file.read(), stat.S_IMODE(found.st_mode),
                           (found.st_uid, found.st_gid),
                           (found.st_atime_ns, found.st_mtime_ns))
        except FileNotFoundError:
            return None

    def restore(self, path: str) -> None:
        if _Snapshot.of(path) == self:
            return
        name = _stage_bytes(path, self.content, self.mode, self.owner)
        os.replace(name, path)
        os.utime(path, ns=self.times)


def _is_right(file: File) -> bool:
    copy = _Snapshot.of(file.path)
    return (copy is not None and copy.content == file.text.encode('utf-8')
            and copy.mode == file.mode
            and (file.owner is None or not is_root()
                 or copy.owner == file.owner))


def _stage(file: File) -> str:
    return _stage_bytes(file.path, file.text.encode('utf-8'), file.mode,
                        file.owner)


def _stage_bytes(path: str, content: bytes, mode: int,
                 owner: Owner | None) -> str:
    """Write a temporary file beside `path`; return its name."""
    directory, base = os.path.split(path)
    descriptor, name = tempfile.mkstemp(prefix=f'.{base}.', dir=directory)
    try:
        with open(descriptor, 'wb') as file:
            file.write(content)
        _own(name, owner)
        os.chmod(name, mode)
    except BaseException:
        os.unlink(name)
        raise
    return name


def _own(path: str, owner: Owner | None) -> None:
    if owner is not None and is_root():
        os.chown(path, *owner)


def is_root() -> bool:
    """Return whether this process may change the owner of a file."""
    return os.geteuid() == 0
