"""The pid file: the pid of the process that serves, and locks on the file.

The locks tell whether that process lives, and which it is: see
`zc.zkzopeserver.locks`.  The number in the file does not, as the kernel
gives pids again, and each container has pids of its own.  The kernel releases
the locks when the process ends, however it ends.
"""
from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import stat
import time
from collections.abc import Iterator
from typing import BinaryIO

from zc.zkzopeserver import locks
from zc.zkzopeserver.errors import NotProvenError

logger = logging.getLogger('zc.zkzopeserver.cli')

# How long `held` tries to get the locks, and `read` to find a holder.  Verbs
# take a shared lock for a moment to see whether there is an exclusive one.
LOCK_S = 0.2

# How long the last thread of a killed process may keep the lock.
LAST_THREAD_S = 1.0

RETRY_S = 0.01

# Every user may ask whether the server runs.
MODE = 0o644


# The pid files that this process holds: (device, inode) -> pid of the holder.
# A record lock is lost when the process closes any descriptor of the file, so
# that it must not open such a file again.  A fork has another pid.
_held: dict[tuple[int, int], int] = {}


@dataclasses.dataclass(frozen=True)
class PidFile:
    """The process of a pid file, and whether it lives.

    `pid` is the holder's, as this process sees it.  Without a holder it is
    the number in the file.
    """

    pid: int
    is_alive: bool


@contextlib.contextmanager
def held(path: str, ini: str) -> Iterator[bool]:
    """Hold a pid file of this process; remove it at the end.

    Yields whether it is held.  When another process holds it, or it cannot
    be written, that is logged and the server serves without one.  `ini` is
    what this process serves, for the message.
    """
    try:
        fd = _locked(path)
        if fd is None:
            logger.warning(taken(path, ini))
    except OSError as error:
        logger.warning('no pid file: %s: %s; `stop` and the like will not'
                       ' find this process', path, error.strerror)
        fd = None
    if fd is None:
        yield False
        return
    key = _key(os.fstat(fd))
    _held[key] = os.getpid()
    try:
        _record(fd, path)
        yield True
    finally:
        if _is_at(fd, path):
            os.unlink(path)
        del _held[key]
        os.close(fd)


def _record(fd: int, path: str) -> None:
    """Write the pid; without room for it, the locks tell it all the same."""
    try:
        os.ftruncate(fd, 0)
        os.write(fd, b'%d\n' % os.getpid())
    except OSError as error:
        logger.warning('the pid file %s: %s; it stays empty', path,
                       error.strerror)


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_held_here(path: str) -> bool:
    """Return whether this very process holds the file."""
    with contextlib.suppress(OSError):
        return _held.get(_key(os.stat(path))) == os.getpid()
    return False


def _locked(path: str) -> int | None:
    """Return a descriptor of the locked file; None when it is taken."""
    deadline = time.monotonic() + LOCK_S
    while not _is_held_here(path):
        fd = _open(path, os.O_RDWR | os.O_CREAT)
        try:
            is_taken = locks.take(fd)
            # Another user may have given a file of ours, or one of another
            # server, this name, too: it must not be written to.
            is_shared = os.fstat(fd).st_nlink > 1
            if is_taken and not is_shared and _is_at(fd, path):
                with contextlib.suppress(PermissionError):
                    os.fchmod(fd, MODE & ~_umask())
                return fd
            is_over = time.monotonic() > deadline
            must_go = _is_at(fd, path) and (
                is_shared if is_taken else not locks.is_locked(fd)
                or is_over and _is_left(fd, path))
            if must_go:
                # Its other names, processes that may only read the file, or
                # that the server has left, bar the way.  In a new one nobody
                # is before us.
                os.unlink(path)
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        # When it was taken, its owner has removed the file in between.
        if not is_taken and not must_go:
            if is_over:
                return None
            time.sleep(RETRY_S)
    return None


def _is_left(fd: int, path: str) -> bool:
    """Return whether a server that is gone has left its BSD lock to a child.

    An application may have forked it: a fork has the descriptor, and with it
    the lock, until it ends.
    """
    try:
        return locks.holder(fd, path, _recorded(os.pread(fd, 20, 0))) is None
    except NotProvenError:
        return False


def _open(path: str, flags: int) -> int:
    """Return a descriptor of a pid file; never wait.

    OSError for anything but a regular file: the open of a FIFO waits for the
    process at its other end.
    """
    # A new file is for its owner alone until it is locked.
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, 'it is no regular file', path)
    return fd


def _umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def taken(path: str, ini: str) -> str:
    """Return the warning for a pid file that another process holds."""
    other = 'another process'
    with contextlib.suppress(NotProvenError):
        if holder := read(path):
            other = f'pid {holder.pid}'
    return (f'{other} serves {ini} already and has {path}: `stop`, `status`'
            f' and the like mean that one, not this one, pid {os.getpid()}.'
            ' `stop` it first, or give this server a section of its own')


def _is_at(fd: int, path: str) -> bool:
    """Return whether the open file is still the file at `path`."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False


def read(path: str) -> PidFile | None:
    """Read a pid file; None when there is none, or no pid in it.

    NotProvenError when a process holds it, and there is no proof of which.
    """
    if _is_held_here(path):
        return PidFile(os.getpid(), True)
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            with open(_open(path, os.O_RDONLY), 'rb') as file:
                return _read(file, path)
        except OSError:
            return None
        except NotProvenError:
            # A process that ends loses one lock after the other.
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)


def _read(file: BinaryIO, path: str) -> PidFile | None:
    recorded = _recorded(file.read(20))
    pid = locks.holder(file.fileno(), path, recorded)
    if pid is not None:
        return PidFile(pid, True)
    return PidFile(recorded, False) if recorded else None


def _recorded(text: bytes) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0


def clear(path: str) -> None:
    """Remove the pid file of a process that has ended.

    Waits up to LAST_THREAD_S for its locks to go; a locked file is left.
    """
    if _is_held_here(path):
        return
    with contextlib.suppress(OSError), \
            open(_open(path, os.O_RDWR), 'r+b') as file:
        deadline = time.monotonic() + LAST_THREAD_S
        while locks.is_locked(file.fileno()):
            if time.monotonic() > deadline:
                return
            time.sleep(RETRY_S)
        if _is_at(file.fileno(), path):
            os.unlink(path)
