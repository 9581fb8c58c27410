"""Locks on a pid file, and the process that the kernel says holds them.

The holder takes two locks.  A POSIX record lock (fcntl(2)) is the one that
counts: F_GETLK tells its holder's pid, translated by the kernel into the PID
namespace of the process that asks.  A number in a file is not translated: in
a container it is another process's.  A BSD lock (flock(2)) is what releases
before 2.0 took alone.  It keeps their verbs from taking the server for dead.
"""
from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys

from zc.zkzopeserver.errors import NotProvenError

# struct flock of fcntl(2): Linux puts l_type and l_whence first; the BSDs and
# macOS put l_start, l_len and l_pid before them.
_IS_LINUX = sys.platform.startswith('linux')
_FLOCK = struct.Struct('hhqqi4x' if _IS_LINUX else 'qqihhi')

# Types of file systems on which hosts share locks, as mountinfo names them.
NETWORK = frozenset((
    '9p', 'afs', 'beegfs', 'ceph', 'cifs', 'fuse.ceph', 'fuse.glusterfs',
    'fuse.sshfs', 'gfs', 'gfs2', 'glusterfs', 'gpfs', 'lustre', 'ncpfs',
    'nfs', 'nfs4', 'ocfs2', 'smb3', 'smbfs'))


def take(fd: int) -> bool:
    """Take both locks; return False when another process has one of them.

    They last until this process ends or closes any descriptor of the file.
    A child process does not inherit the record lock.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_on_network(fd):
            # NFS makes a record lock of it, which would meet the first one.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        # EAGAIN or EACCES, POSIX leaves the choice.
        return False
    return True


def is_locked(fd: int) -> bool:
    """Return whether another process has a lock on the file."""
    return record_holder(fd) is not None or is_flocked(fd)


def is_flocked(fd: int) -> bool:
    """Return whether another process has a BSD lock on the file.

    A stranger's does not count: see `is_strangers`.
    """
    if is_on_network(fd):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return not is_strangers(fd)
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def is_strangers(fd: int) -> bool:
    """Return whether a user who may only read the file has a BSD lock on it.

    flock(2) needs no right to write.  A server's lock excludes all others, so
    no server has the file then.  False where the system does not list locks.
    """
    trusted = {0, os.fstat(fd).st_uid, os.geteuid()}
    return any(uid is not None and uid not in trusted
               for uid in map(real_user, flock_holders(fd)))


def flock_holders(fd: int) -> list[int]:
    """Return the pids of the processes with a BSD lock on the file.

    They are read from ``/proc/locks`` (proc(5)), which leaves out processes
    of other PID namespaces.
    """
    status = os.fstat(fd)
    wanted = (f'{os.major(status.st_dev):02x}:'
              f'{os.minor(status.st_dev):02x}:{status.st_ino}')
    found = []
    with contextlib.suppress(OSError), open(
            '/proc/locks', encoding='ascii', errors='replace') as file:
        for line in file:
            # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END
            words = line.split()
            if words[1] == 'FLOCK' and words[5] == wanted:
                found.append(int(words[4]))
    return found


def real_user(pid: int) -> int | None:
    """Return the real user id of a process; None when it is not known.

    The owner of its folder in ``/proc`` does not tell: that is root for a
    process that cannot be dumped, too (proc(5)).
    """
    with contextlib.suppress(OSError), open(
            f'/proc/{pid}/status', encoding='utf-8',
            errors='replace') as file:
        for line in file:
            if line.startswith('Uid:'):
                return int(line.split()[1])
    return None


def record_holder(fd: int, start: int = 0,
                  length: int = 0) -> int | None:
    """Return the pid that F_GETLK tells of the record lock; None: no lock.

    `length` bytes from `start` on are asked for, 0 for all up to the end. The
    pid is the holder's as this process sees it. It is 0 for a process in a PID
    namespace that this process does not see, and 0 or less for one of another
    host.
    """
    # A write lock alone is in the way of a read lock, and only a process
    # that may write the file can have one.
    fields = ((fcntl.F_RDLCK, os.SEEK_SET, start, length, 0) if _IS_LINUX
              else (start, length, 0, fcntl.F_RDLCK, os.SEEK_SET, 0))
    answer = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK,
                                       _FLOCK.pack(*fields)))
    kind, pid = ((answer[0], answer[4]) if _IS_LINUX
                 else (answer[3], answer[2]))
    return None if kind == fcntl.F_UNLCK else pid


def holder(fd: int, path: str, recorded: int) -> int | None:
    """Return the pid of the process that has the file; None without one.

    `recorded` is the number in the file, 0 for none: it is believed only of
    a release that took no record lock, and only with proof.  NotProvenError
    when there is a holder, and no proof of which process it is.
    """
    pid = record_holder(fd)
    if pid is None:
        if not is_flocked(fd) or not recorded or not exists(recorded):
            # An application's child process may have inherited a BSD lock
            # of a server that is gone.
            return None
        if has_open(recorded, fd):
            return recorded
        raise NotProvenError(
            f'{path} is locked, not provably by pid {recorded} (a server of'
            ' an older release in a container or of another user, or a child'
            ' process that a server has left): no process is signalled; run'
            ' this where the server runs, as its user or as root')
    if pid <= 0 or is_on_network(fd) and not has_open(pid, fd):
        raise NotProvenError(
            f'{path} is locked by a process that cannot be seen from here (in'
            ' a container or another PID namespace, or on another host): no'
            ' process is signalled; run this where the server runs')
    return pid


def exists(pid: int) -> bool:
    """Return whether there is a process of this pid, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def has_open(pid: int, fd: int) -> bool:
    """Return whether a process of our PID namespace has the file open.

    False also when this process is not allowed to know.
    """
    wanted = os.fstat(fd)
    folder = f'/proc/{pid}'
    try:
        if not os.path.samestat(os.stat(f'{folder}/ns/pid'),
                                os.stat('/proc/self/ns/pid')):
            return False
        names = os.listdir(f'{folder}/fd')
    except OSError:
        return False
    for name in names:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f'{folder}/fd/{name}'), wanted):
                return True
    return False


def is_on_network(fd: int) -> bool:
    """Return whether the file is on a file system that hosts share."""
    return file_system(fd) in NETWORK


def file_system(fd: int) -> str:
    """Return the type of the file's file system, as in proc(5) mountinfo.

    '' when it is not known.
    """
    device = os.fstat(fd).st_dev
    wanted = f'{os.major(device)}:{os.minor(device)}'
    with contextlib.suppress(OSError), open(
            '/proc/self/mountinfo', encoding='utf-8',
            errors='surrogateescape') as file:
        for line in file:
            words = line.split()
            if words[2] == wanted and '-' in words:
                return words[words.index('-') + 1]
    return ''
