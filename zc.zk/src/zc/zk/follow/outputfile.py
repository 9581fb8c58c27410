"""The file that a proxy reads: never empty, never half, never older."""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from zc.zk.safefiles import real_path

#: The mode of a file that was not there.
MODE = 0o644

#: What of the mode of an existing file the new one has: no set-user-ID bit,
#: whatever is at the path by then.
PERMISSIONS = 0o777

#: The most bytes of an existing file that are compared.
MAX_BYTES = 2 ** 26


class InUse(Exception):
    """Another process keeps the file; the text says so."""


class OutputFile:
    """A file that is replaced as a whole, by one process at a time.

    The new text is written in a folder of its own beside the file, `work`,
    synced to disk, and renamed (rename(2) is atomic). So a reader, a crash and
    a full disk see the old text or the new one. A proxy that watches the
    folder of the file has one event, when the text is there; one that came
    before would have Traefik wait for the end of its throttle. A symbolic link
    is followed, and its target replaced, unless it belongs to another user;
    see `real_path`.

    Raises InUse, or OSError if the folder cannot be written to, or if there is
    something else than a file: a rename would replace a device such as
    /dev/null for the whole machine.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(real_path(str(path)))
        with contextlib.suppress(FileNotFoundError):
            os.close(self._open())
        self.work = self.path.with_name(f'.{self.path.name}.follow')
        self._make_work()
        self._lock = self._take_lock()

    def close(self) -> None:
        """Let another process keep the file."""
        os.close(self._lock)

    def read(self) -> str | None:
        """Return the text of the file, None if there is no file.

        What is not UTF-8 is not ours: it differs from every text.
        """
        try:
            with open(self._open(), 'rb') as file:
                return file.read(MAX_BYTES).decode('utf-8', 'replace')
        except FileNotFoundError:
            return None

    def _open(self) -> int:
        """Return a descriptor of the file; OSError if it is something else."""
        # The open of a FIFO would wait for the process at its other end.
        handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK
                         | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, 'this is no regular file, and is not'
                          ' replaced', str(self.path))
        return handle

    def write(self, text: str) -> None:
        """Replace the file; raise OSError, and change nothing, if it fails.

        Keeps mode and owner of the file, the owner as far as is allowed.
        """
        new = self.work / 'new'
        new.unlink(missing_ok=True)  # of a process that was killed
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL
                         | os.O_CLOEXEC, 0o600)
        try:
            with open(handle, 'w', encoding='utf-8') as file:
                self._copy_rights(file.fileno())
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        self._sync_folder()

    @contextlib.contextmanager
    def keeping(self) -> Iterator[Callable[[], None]]:
        """Keep the present file for the block; yield what puts it back.

        That takes no space on the disk, and so cannot fail for a full one.
        Where there is no file, putting back removes the new one.
        """
        kept = self.work / 'old'
        kept.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(self.path, kept)

        def put_back() -> None:
            try:
                os.replace(kept, self.path)
            except FileNotFoundError:
                self.path.unlink(missing_ok=True)
            self._sync_folder()

        try:
            yield put_back
        finally:
            kept.unlink(missing_ok=True)

    def _copy_rights(self, handle: int) -> None:
        try:
            old = os.stat(self.path)
        except FileNotFoundError:
            os.fchmod(handle, MODE)
            return
        new = os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            # Without root's rights the owner becomes that of this process.
            with contextlib.suppress(PermissionError):
                os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, old.st_mode & PERMISSIONS)

    def _sync_folder(self) -> None:
        # So that the rename survives a loss of power.
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _make_work(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.work.mkdir(0o700)
        found = os.lstat(self.work)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, 'not a folder of the user who runs this',
                str(self.work))

    def _take_lock(self) -> int:
        # Not the file itself: a rename replaces what is locked.
        path = self.work / 'lock'
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                         | os.O_NOFOLLOW, 0o600)
        try:
            # A record lock (fcntl(2)) is the process's own. That of flock(2)
            # would go on with a command that is being started while this
            # process is killed, and its successor would refuse to run.
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise InUse(f'{self.path}: another zookeeper_follow keeps this '
                        'file') from None
        return handle
