"""The processes of this machine (psutil), and the user of this process."""
from __future__ import annotations

import contextlib
import errno
import functools
import os
import pwd
import signal
import socket
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import psutil

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError

RETRY_S = 0.02


def lives(pid: int) -> bool:
    """Return whether the process runs; a zombie has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        # It is there, and not ours to look at.
        return True


def children(pid: int) -> list[int]:
    """Return the pids of the live children of a process, oldest first."""
    try:
        processes = psutil.Process(pid).children()
    except psutil.Error:
        return []
    return [child.pid for child in processes if lives(child.pid)]


def identify(pid: int) -> psutil.Process | None:
    """Return a process that `is_same` tells from a later one of its pid.

    None when there is none.
    """
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def is_same(process: psutil.Process) -> bool:
    """Return whether the process of this pid still is the one identified."""
    return process.is_running()


def send(pid: int, number: int, is_ours: Callable[[], bool]) -> bool:
    """Send a signal to a process of which `is_ours` proves that it is ours.

    Return False when the process is gone, or `is_ours` returns False.
    StartError when it is another user's.
    """
    try:
        # Held before the proof, the descriptor is of the process that is
        # proved to be ours, and never of a later one of the same pid.
        with pidfd(pid) as fd:
            if not is_ours():
                return False
            if fd is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise StartError(f'not allowed to signal pid {pid}: it is another'
                         " user's") from None
    return True


@contextlib.contextmanager
def pidfd(pid: int) -> Iterator[int | None]:
    """Yield a descriptor of a process; None where the system has none.

    ProcessLookupError when there is no such process.
    """
    if not hasattr(os, 'pidfd_open'):
        yield None
        return
    try:
        fd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        # An old kernel, or a filter of system calls.
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def ports(pid: int) -> list[tuple[str, int]] | None:
    """Return where a process listens by TCP, [(host, port), ...].

    None when this process is not allowed to know, or there is no process.
    """
    try:
        connections = psutil.Process(pid).net_connections('tcp')
    except psutil.Error:
        return None
    return [(each.laddr.ip, each.laddr.port) for each in connections
            if each.status == psutil.CONN_LISTEN]


def is_here(host: str, ask_dns: bool = False) -> bool:
    """Return whether a host is this machine: its address, or its usual name.

    With `ask_dns` other names are resolved as well, which may take seconds.
    """
    if is_local(host) or host in ('localhost', socket.gethostname()):
        return True
    if not ask_dns:
        return False
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_local(str(entry[4][0])) for entry in entries)


def is_local(address: str) -> bool:
    """Return whether an IP address is this machine's.

    An interface need not have it: to Linux all of 127.0.0.0/8 is local, and
    what a route of type local names.  So a socket is bound to it.
    """
    if address in _addresses():
        return True
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    try:
        # inet_pton, as `bind` would look a name up.
        socket.inet_pton(family, address)
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except (OSError, UnicodeError):
        return False
    return True


@functools.cache
def _addresses() -> frozenset[str]:
    return frozenset(
        address.address.partition('%')[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6))


def wait_end(waited: Iterable[psutil.Process],
             timeout_s: float) -> list[psutil.Process]:
    """Wait until processes have ended; return those that have not."""
    deadline = time.monotonic() + timeout_s
    left = list(waited)
    while left := [each for each in left
                   if is_same(each) and lives(each.pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(RETRY_S)
    return left


# The user of this process.

def become(user: str, folders: tuple[str, ...] = (),
           required: bool = False) -> None:
    """Become `user` when this process is root's; do nothing when it is ''.

    First the missing ones of `folders` are made for that user, if their
    parents exist: ``/run`` is empty after a boot.

    ConfigurationError when there is no such user; with `required` also when
    this process is neither root's nor the user's.
    """
    if not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ConfigurationError(f'there is no user {user!r}') from None
    if os.geteuid():
        if required and os.geteuid() != entry.pw_uid:
            raise ConfigurationError(
                f'it runs as the user {user!r}: start it as that user, or as'
                ' root')
        return
    for folder in folders:
        _make(folder, entry)
    if entry.pw_uid:
        _set_user(entry)


def _make(folder: str, owner: pwd.struct_passwd) -> None:
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.mkdir(folder, 0o750)
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _set_user(user: pwd.struct_passwd) -> None:
    # The groups first: afterwards this process is not allowed to.
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name,
                      LOGNAME=user.pw_name)
