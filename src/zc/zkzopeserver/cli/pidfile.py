"""The file that says which process serves: its number, and a lock.

The lock is what counts, as a number may be given again: it is held as long
as the process lives, whatever ends it.
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

# Seconds for those who look whether the lock is held, which is to hold it.
LOOK_S = 0.2

# Seconds for the last thread of a process that was killed.
LAST_THREAD_S = 1.0


@dataclasses.dataclass(frozen=True)
class PidFile:
    """What a pid file says, and whether that process lives."""

    pid: int
    is_alive: bool


@contextlib.contextmanager
def held(path: str, ini: str) -> Iterator[bool]:
    """Have a pid file of this process, which serves `ini`; whether it could
    be had.

    It is removed at the end.  A server serves without one, too: when another
    process has it, or when it cannot be written.
    """
    try:
        fd = _locked(path)
        if fd is None:
            logger.warning(taken(path, ini))
    except OSError as reason:
        logger.warning('no pid file: %s: %s; `stop` and the like will not'
                       ' find this process', path, reason.strerror)
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
    """A descriptor of the file, locked; None when another process has it."""
    deadline = time.monotonic() + LOOK_S
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            os.close(fd)
            if not isinstance(reason, BlockingIOError):
                raise
            if time.monotonic() > deadline:
                return None
            time.sleep(LOOK_S / 20)
        else:
            if _is_at(fd, path):
                return fd
            # Its owner has removed it meanwhile.
            os.close(fd)


def taken(path: str, ini: str) -> str:
    """What to say when another process has the pid file."""
    found = read(path)
    other = f'pid {found.pid}' if found else 'another process'
    return (f'{other} serves {ini} already and has {path}: `stop`, `status`'
            f' and the like mean that one, not this one, pid {os.getpid()}.'
            ' `stop` it first, or give this server a section of its own')


def _is_at(fd: int, path: str) -> bool:
    """Whether the open file is still the one of this path."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False


def read(path: str) -> PidFile | None:
    """What the file says; None without one, or without a number in it."""
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
    """Remove the file that a process has left which is no more.

    One that was just killed may hold the lock until its last thread is gone.
    """
    with contextlib.suppress(OSError), open(path, 'r+b') as file:
        deadline = time.monotonic() + LAST_THREAD_S
        while _is_locked(file.fileno()):
            if time.monotonic() > deadline:
                return
            time.sleep(LOOK_S / 20)
        if _is_at(file.fileno(), path):
            os.unlink(path)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def exists(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
