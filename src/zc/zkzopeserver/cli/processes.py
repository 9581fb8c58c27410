"""The processes of this machine (psutil)."""
from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import psutil

from zc.zkzopeserver.errors import StartError

RETRY_S = 0.02

# The inode of a socket, in the name that a link in /proc/PID/fd has.
_socket = re.compile(r'socket:\[(\d+)\]').findall

# The inode and the path, if any, in a line of /proc/net/unix.
_unix_socket = re.compile(
    rb'^[^ \n]+: (?:[0-9A-F]+ ){5} *(\d+)(?: (.*))?$', re.MULTILINE).findall


def lives(pid: int) -> bool:
    """Return whether the process runs; a zombie without threads has ended.

    On Linux a process is a zombie once its first thread has ended.  The last
    thread releases what they share, such as the locks on files (proc(5),
    exit_files in the kernel's exit.c).
    """
    try:
        process = psutil.Process(pid)
        return (process.status() != psutil.STATUS_ZOMBIE
                or process.num_threads() > 1)
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


def unix_sockets(pid: int) -> list[str]:
    """Return the paths of a process's unix sockets; empty if not known."""
    try:
        if os.path.exists(f'/proc/{pid}/net/unix'):
            return _unix_sockets_of_linux(pid)
        connections = psutil.Process(pid).net_connections('unix')
    except (OSError, psutil.Error):
        return []
    return [each.laddr for each in connections if each.laddr]


def _unix_sockets_of_linux(pid: int) -> list[str]:
    """Return the paths of a process's unix sockets, as proc(5) has them.

    psutil's way loses paths with spaces, and fails where any socket of the
    machine has a path with a line break.  Such a path can pretend to be a
    line of the file: an inode that has two lines has no path.
    """
    inodes = set()
    with os.scandir(f'/proc/{pid}/fd') as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                inodes.update(_socket(os.readlink(entry.path)))
    paths: dict[str, list[bytes]] = {}
    with open(f'/proc/{pid}/net/unix', 'rb') as file:
        for inode, path in _unix_socket(file.read()):
            if inode.decode() in inodes:
                paths.setdefault(inode.decode(), []).append(path)
    return [os.fsdecode(found[0]) for found in paths.values()
            if len(found) == 1 and found[0]]


def is_here(host: str) -> bool:
    """Return whether a host is this machine: its address, or its usual name.

    No other name is resolved: see `resolves_here`.
    """
    return is_local(host) or host in ('localhost', socket.gethostname())


def resolves_here(host: str) -> bool:
    """Return whether a name is this machine's by DNS; it may take seconds."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
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
    except (OSError, ValueError):
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
