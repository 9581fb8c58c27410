"""The processes of this machine; only this module imports psutil."""
from __future__ import annotations

import contextlib
import functools
import os
import pwd
import socket
import time
from collections.abc import Iterable

import psutil

from zc.zkzopeserver.errors import ConfigurationError


def lives(pid: int) -> bool:
    """Whether the process runs; one that has ended, unburied, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def children(pid: int) -> list[int]:
    """The live processes that a process has started, the oldest first."""
    try:
        found = psutil.Process(pid).children()
    except psutil.Error:
        return []
    return [child.pid for child in found if lives(child.pid)]


def ports(pid: int) -> list[tuple[str, int]] | None:
    """Where a process listens, (host, port); None when we may not know."""
    try:
        found = psutil.Process(pid).net_connections('tcp')
    except psutil.Error:
        return None
    return [(each.laddr.ip, each.laddr.port) for each in found
            if each.status == psutil.CONN_LISTEN]


def is_here(host: str, ask_dns: bool = False) -> bool:
    """Whether a host is this machine, by address or by its usual names.

    Asking the DNS for what a name means may take long.
    """
    if host in _addresses() or host in ('localhost', socket.gethostname()):
        return True
    if not ask_dns:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(entry[4][0] in _addresses() for entry in found)


@functools.cache
def _addresses() -> frozenset[str]:
    return frozenset(
        address.address.partition('%')[0]
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6))


def wait_end(pids: Iterable[int], timeout_s: float) -> list[int]:
    """Wait until the processes have ended; those that have not."""
    deadline = time.monotonic() + timeout_s
    left = list(pids)
    while left := [pid for pid in left if lives(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def become(user: str, folders: tuple[str, ...] = (),
           required: bool = False) -> None:
    """Be `user` from now on, if we are root; nothing when it is ''.

    `folders` are made first, the user's own, where their parents are there:
    ``/run`` is empty after a boot.  When `required`, ConfigurationError
    if we are neither root nor this user.
    """
    if not user:
        return
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ConfigurationError(f'there is no user {user!r}') from None
    if os.geteuid():
        if required and os.geteuid() != found.pw_uid:
            raise ConfigurationError(
                f'it runs as the user {user!r}: start it as that user, or as'
                ' root')
        return
    for folder in folders:
        _make(folder, found)
    if found.pw_uid:
        _be(found)


def _make(folder: str, owner: pwd.struct_passwd) -> None:
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.mkdir(folder, 0o750)
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _be(user: pwd.struct_passwd) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name,
                      LOGNAME=user.pw_name)
