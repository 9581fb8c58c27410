"""NAME.session: the sessions of a server's processes, for after a crash.

Each process that has a ZooKeeper session keeps its key (see
`zc.zkzopeserver.sessionkeys`) in a slot of the file.  As long as it lives it
has a record lock on the slot (fcntl(2)), which the kernel releases when the
process ends, however that happens.  So a slot that has a key and no lock is of
a process that has died and could not end its session.  Any process that finds
one ends the session and empties the slot.

The file holds passwords: it is of mode 0600, in a directory of the same user,
and no symbolic link is followed to it.  A process opens it once: to close any
descriptor of it would release the locks.
"""
from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import stat
import threading

from zc.zkzopeserver import directories
from zc.zkzopeserver.sessionkeys import LIMIT_BYTES
from zc.zkzopeserver.sessionkeys import SessionKey

logger = logging.getLogger('zc.zkzopeserver.sessions')

# A slot's bytes.  The process's lock is on all but the last of them.
SLOT_BYTES = 4096
LOCKED_BYTES = SLOT_BYTES - 1
assert LIMIT_BYTES < LOCKED_BYTES

MAX_SLOTS = 4096

# How many sessions are ended at once.
AT_ONCE = 16

# The first and the longest pause, in seconds, between two attempts to end the
# sessions of dead processes while ZooKeeper does not answer.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0

# How often to open the file when other processes remove it at that moment.
ATTEMPTS = 100


@dataclasses.dataclass
class Forgotten:
    """What `SessionFile.forget` has done.

    `ended` are the keys of sessions that have ended, and of those that had
    ended before.  `failed` are the keys of those that may still live.
    `problems` are lines about these and about the file.
    """

    ended: list[SessionKey] = dataclasses.field(default_factory=list)
    failed: list[SessionKey] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


class SessionFile:
    """The session file of a server; its methods are thread-safe.

    A trouble with the file is logged once, and the server does without.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._fd: int | None = None
        # The slot of this process; None before it keeps a key.
        self._slot: int | None = None
        # The slots whose sessions this process is ending: its own locks do
        # not keep its other threads away.
        self._ending: set[int] = set()
        self._has_complained = False
        self._closed = threading.Event()

    # The session of this process.

    def keep(self, key: SessionKey) -> None:
        """Keep the key of this process's session, instead of the last one."""
        with self._lock:
            try:
                text = key.encode().encode()
                if self._slot is None:
                    self._slot = self._claim()
                self._write(self._slot, text)
            except (OSError, ValueError) as error:
                self._complain(error)

    def drop(self) -> None:
        """Forget the key of this process: its session needs no ending."""
        with self._lock, contextlib.suppress(OSError):
            if self._slot is not None:
                self._write(self._slot, b'')

    def close(self) -> None:
        """Release what this process has; remove a file without keys."""
        self._closed.set()
        with self._lock:
            fd, self._fd, self._slot = self._fd, None, None
            if fd is None:
                return
            try:
                self._remove_unused(fd)
            except OSError as error:
                self._complain(error)
            finally:
                os.close(fd)

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            why = getattr(error, 'strerror', None) or error
            logger.warning(
                '%s: %s; if this process is killed, its nodes stay until its'
                ' session times out', self.path, why)

    def _claim(self) -> int:
        """Lock an empty slot; return its number."""
        for _ in range(ATTEMPTS):
            fd = self._open(os.O_CREAT)
            for slot in range(MAX_SLOTS):
                if slot in self._ending or not self._take(fd, slot):
                    continue
                if not self._is_current(fd):
                    break
                if self._read(fd, slot) is None:
                    return slot
                # Of a process that has died.
                self._release(fd, slot)
            else:
                raise OSError(errno.ENOSPC, 'it has no empty slot')
            self._reopen()
        raise OSError(errno.EAGAIN, 'it is removed again and again')

    # The sessions of other processes.

    def forget(self) -> Forgotten:
        """End the sessions of processes that have died.

        That takes a few seconds where ZooKeeper does not answer; their keys
        stay then.
        """
        done = Forgotten()
        try:
            dead = self._take_dead()
        except FileNotFoundError:
            return done
        except OSError as error:
            done.problems.append(f'{self.path}: {error.strerror}')
            return done
        if dead:
            # Imported here: hardly any start finds one.
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for (_, key), problem in zip(
                        dead, pool.map(self._end, dead), strict=True):
                    if problem:
                        done.failed.append(key)
                        done.problems.append(problem)
                    else:
                        done.ended.append(key)
        return done

    def forget_in_background(self) -> None:
        """Go on until the sessions of dead processes have ended, in a thread.

        That ends with the process, or with `close`.
        """
        if os.path.lexists(self.path):
            threading.Thread(target=self._forget_all, daemon=True,
                             name='zc.zkzopeserver.forget').start()

    def _forget_all(self) -> None:
        problems: list[str] = []
        pause_s = FIRST_PAUSE_S
        while True:
            found, problems = problems, self.forget().problems
            for problem in problems:
                if problem not in found:
                    logger.warning('%s', problem)
            if not problems or self._closed.wait(pause_s):
                return
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def discard(self, session: int) -> None:
        """Empty the slot of a dead process, whose session has ended."""
        with contextlib.suppress(OSError):
            for slot, key in self._take_dead():
                with self._lock:
                    if self._fd is not None:
                        if key.session == session:
                            self._write(slot, b'')
                        self._release(self._fd, slot)
                    self._ending.discard(slot)

    def _take_dead(self) -> list[tuple[int, SessionKey]]:
        """Lock the slots of processes that have died; return their keys."""
        found = []
        with self._lock:
            fd = self._open()
            for slot in range(self._count(fd)):
                if (slot == self._slot or slot in self._ending
                        or not self._take(fd, slot)):
                    continue
                key = self._read(fd, slot)
                if key is None:
                    self._release(fd, slot)
                else:
                    self._ending.add(slot)
                    found.append((slot, key))
        return found

    def _end(self, dead: tuple[int, SessionKey]) -> str:
        """End a session and empty its slot; return why not, '' when done."""
        slot, key = dead
        problem = ''
        try:
            was_there = key.end()
        except Exception as error:  # noqa: BLE001 (a line for the operator)
            problem = f'{key} is not ended: {error}'
        else:
            logger.info('%s, which has died, %s', key,
                        'is ended' if was_there else 'had ended already')
        with self._lock:
            self._ending.discard(slot)
            if self._fd is not None:
                if not problem:
                    self._write(slot, b'')
                self._release(self._fd, slot)
        return problem

    # The file.

    def _open(self, flags: int = 0) -> int:
        """Return its descriptor; OSError when it is not there, or unsafe."""
        if self._fd is None:
            name = os.path.basename(self.path)
            folder = directories.open_directory(os.path.dirname(self.path))
            try:
                if os.fstat(folder).st_uid != os.geteuid():
                    raise PermissionError(
                        errno.EPERM, "its directory is another user's")
                fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
                             | flags, 0o600, dir_fd=folder)
            finally:
                os.close(folder)
            try:
                check_private(os.fstat(fd))
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
        return self._fd

    def _reopen(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_current(self, fd: int) -> bool:
        """Return whether no process has removed the file since."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), os.lstat(self.path))
        return False

    def _remove_unused(self, fd: int) -> None:
        """Remove the file, unless a process needs it."""
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return
        if (self._is_current(fd) and not self._ending and not any(
                self._read(fd, slot) for slot in range(self._count(fd)))):
            os.unlink(self.path)

    @staticmethod
    def _count(fd: int) -> int:
        size = os.fstat(fd).st_size
        return min(-(-size // SLOT_BYTES), MAX_SLOTS)

    @staticmethod
    def _take(fd: int, slot: int) -> bool:
        """Lock a slot; return False when another process has it."""
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCKED_BYTES,
                        slot * SLOT_BYTES)
        except (BlockingIOError, PermissionError):
            # EAGAIN or EACCES, POSIX leaves the choice.
            return False
        return True

    @staticmethod
    def _release(fd: int, slot: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_UN, LOCKED_BYTES, slot * SLOT_BYTES)

    @staticmethod
    def _read(fd: int, slot: int) -> SessionKey | None:
        """Return the key in a slot; None for anything else."""
        text = os.pread(fd, LOCKED_BYTES, slot * SLOT_BYTES)
        with contextlib.suppress(ValueError):
            return SessionKey.decode(text.rstrip(b'\0'))
        return None

    def _write(self, slot: int, text: bytes) -> None:
        assert self._fd is not None
        os.pwrite(self._fd, text.ljust(LOCKED_BYTES, b'\0'),
                  slot * SLOT_BYTES)


def forget(path: str) -> Forgotten:
    """End the sessions of processes that have died, by their file."""
    file = SessionFile(path)
    try:
        return file.forget()
    finally:
        file.close()


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
