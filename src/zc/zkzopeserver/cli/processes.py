"""The processes of this machine; only this module imports psutil."""
from __future__ import annotations

import functools
import socket
import time
from collections.abc import Iterable

import psutil


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
