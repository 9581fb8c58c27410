"""A private file with a slot for each process, locked while that lives.

A process has a record lock (fcntl(2)) on its slot, which the kernel releases
when the process ends, however that happens.  So any process can tell the
slots of the living from those of the dead.

The file is of mode 0600, in a directory of the same user, and no symbolic
link is followed to it.  A process opens it once: to close any descriptor of
it would release the locks.
"""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from zc.zkzopeserver import directories
from zc.zkzopeserver import locks

# A slot's bytes: the content, which the lock of its process is on, and one
# more, the flag, by which other processes tell that process something.
SLOT_BYTES = 4096
CONTENT_BYTES = SLOT_BYTES - 1

MAX_SLOTS = 4096

# How often to open the file when other processes remove it at that moment.
ATTEMPTS = 100


class SlotFile:
    """The file, opened when it is first needed.

    Its methods are not thread-safe.  They raise OSError, FileNotFoundError
    also when there is no file, and PermissionError when it is not safe to
    use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether this process has the file open."""
        return self._fd is not None

    def open(self, flags: int = 0) -> int:
        """Return the file's descriptor, opened with further `flags`."""
        if self._fd is None:
            folder = directories.open_directory(os.path.dirname(self.path))
            try:
                if os.fstat(folder).st_uid != os.geteuid():
                    raise PermissionError(
                        errno.EPERM, "its directory is another user's")
                fd = os.open(os.path.basename(self.path), os.O_RDWR
                             | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600,
                             dir_fd=folder)
            finally:
                os.close(folder)
            try:
                check_private(os.fstat(fd))
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
        return self._fd

    def close(self) -> None:
        """Release what this process has locked; remove a file of no use."""
        if self._fd is not None:
            try:
                self._remove_unused(self._fd)
            finally:
                fd, self._fd = self._fd, None
                os.close(fd)

    def _remove_unused(self, fd: int) -> None:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return
        if self._is_current(fd) and not any(map(self.read, self.slots())):
            os.unlink(self.path)

    def _is_current(self, fd: int) -> bool:
        """Return whether no process has removed the file since."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), os.lstat(self.path))
        return False

    def slots(self) -> range:
        """Return the numbers of the slots that the file has."""
        size = os.fstat(self.open()).st_size
        return range(min(-(-size // SLOT_BYTES), MAX_SLOTS))

    # Slots.

    def claim(self, busy: set[int]) -> int:
        """Take an empty slot for this process; return its number.

        `busy` are slots that other threads of this process have taken.
        """
        for _ in range(ATTEMPTS):
            fd = self.open(os.O_CREAT)
            for slot in range(MAX_SLOTS):
                if slot in busy or not self.take(slot):
                    continue
                if not self._is_current(fd):
                    break
                if not self.read(slot):
                    self.set_flag(slot, b'\0')
                    return slot
                # Of a process that has died.
                self.release(slot)
            else:
                raise OSError(errno.ENOSPC, 'it has no empty slot')
            os.close(fd)
            self._fd = None
        raise OSError(errno.EAGAIN, 'it is removed again and again')

    def take(self, slot: int) -> bool:
        """Lock a slot; return False when another process has it."""
        return self._lock(CONTENT_BYTES, slot * SLOT_BYTES)

    def release(self, slot: int) -> None:
        """Unlock a slot."""
        fcntl.lockf(self.open(), fcntl.LOCK_UN, CONTENT_BYTES,
                    slot * SLOT_BYTES)

    def holder(self, slot: int) -> int | None:
        """Return the pid of the other process that has locked a slot.

        None without one.  See `locks.record_holder`.
        """
        return locks.record_holder(self.open(), slot * SLOT_BYTES,
                                   CONTENT_BYTES)

    def read(self, slot: int) -> bytes:
        """Return the content of a slot; b'' for an empty one."""
        return os.pread(self.open(), CONTENT_BYTES,
                        slot * SLOT_BYTES).rstrip(b'\0')

    def write(self, slot: int, content: bytes) -> None:
        """Replace the content of a slot; b'' empties it."""
        os.pwrite(self.open(), content.ljust(CONTENT_BYTES, b'\0'),
                  slot * SLOT_BYTES)

    # Flags.

    def flag(self, slot: int) -> bytes:
        """Return the flag of a slot, a byte."""
        return os.pread(self.open(), 1, slot * SLOT_BYTES + CONTENT_BYTES)

    def set_flag(self, slot: int, value: bytes) -> None:
        """Set the flag of a slot, of any process."""
        os.pwrite(self.open(), value, slot * SLOT_BYTES + CONTENT_BYTES)

    def take_flag(self, slot: int) -> bool:
        """Lock the flag of a slot; return False when another one has it."""
        return self._lock(1, slot * SLOT_BYTES + CONTENT_BYTES)

    def is_flag_taken(self, slot: int) -> bool:
        """Return whether another process has locked the flag of a slot."""
        return locks.record_holder(
            self.open(), slot * SLOT_BYTES + CONTENT_BYTES, 1) is not None

    def _lock(self, length: int, start: int) -> bool:
        try:
            fcntl.lockf(self.open(), fcntl.LOCK_EX | fcntl.LOCK_NB, length,
                        start)
        except (BlockingIOError, PermissionError):
            # EAGAIN or EACCES, POSIX leaves the choice.
            return False
        return True


def check_private(status: os.stat_result) -> None:
    """Raise PermissionError for a file that other users can reach."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        problem = 'it is no regular file of one name'
    elif status.st_uid != os.geteuid():
        problem = "it is another user's"
    elif status.st_mode & 0o077:
        problem = (f'others can reach it (mode'
                   f' {stat.S_IMODE(status.st_mode):04o}), it must be 0600')
    else:
        return
    raise PermissionError(errno.EPERM, problem)
