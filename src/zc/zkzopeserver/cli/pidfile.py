"""The pid file: the pid of the process that serves, and a lock on the file.

The lock tells whether that process lives.  The pid alone does not, as the
kernel gives pids again.  The kernel releases the lock (flock(2)) when the
process ends, however it ends.
"""
from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import time
from collections.abc import Iterator

logger = logging.getLogger('zc.zkzopeserver.cli')

# How long `held` tries to get the lock.  `read` and `clear` take a shared
# lock for a moment to see whether there is an exclusive one.
LOCK_S = 0.2

# How long the last thread of a killed process may keep the lock.
LAST_THREAD_S = 1.0

RETRY_S = 0.01


@dataclasses.dataclass(frozen=True)
class PidFile:
    """The content of a pid file, and whether that process lives."""

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
    try:
        os.ftruncate(fd, 0)
        os.write(fd, b'%d\n' % os.getpid())
        yield True
    finally:
        if _is_at(fd, path):
            os.unlink(path)
        os.close(fd)


def _locked(path: str) -> int | None:
    """Return a descriptor of the locked file; None when it is taken."""
    deadline = time.monotonic() + LOCK_S
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if not isinstance(error, BlockingIOError):
                raise
            if time.monotonic() > deadline:
                return None
            time.sleep(RETRY_S)
        else:
            if _is_at(fd, path):
                return fd
            # Its owner has removed the file between open and flock.
            os.close(fd)


def taken(path: str, ini: str) -> str:
    """Return the warning for a pid file that another process holds."""
    holder = read(path)
    other = f'pid {holder.pid}' if holder else 'another process'
    return (f'{other} serves {ini} already and has {path}: `stop`, `status`'
            f' and the like mean that one, not this one, pid {os.getpid()}.'
            ' `stop` it first, or give this server a section of its own')


def _is_at(fd: int, path: str) -> bool:
    """Return whether the open file is still the file at `path`."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False


def read(path: str) -> PidFile | None:
    """Read a pid file; None when there is none, or no pid in it."""
    try:
        with open(path, 'rb') as file:
            text = file.read(20).strip()
            alive = _is_locked(file.fileno())
    except OSError:
        return None
    if not text.isdigit() or not int(text):
        return None
    return PidFile(int(text), alive and exists(int(text)))


def clear(path: str) -> None:
    """Remove the pid file of a process that has ended.

    Waits up to LAST_THREAD_S for its lock to go; a locked file is left.
    """
    with contextlib.suppress(OSError), open(path, 'r+b') as file:
        deadline = time.monotonic() + LAST_THREAD_S
        while _is_locked(file.fileno()):
            if time.monotonic() > deadline:
                return
            time.sleep(RETRY_S)
        if _is_at(file.fileno(), path):
            os.unlink(path)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def exists(pid: int) -> bool:
    """Return whether there is a process of this pid, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
