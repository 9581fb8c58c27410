"""Resolve the host names of servers, again and again, and remember."""
from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from functools import partial

from zc.zk.addresses import format_addr
from zc.zk.addresses import parse_server_addr
from zc.zk.loglimit import LimitedLogger
from zc.zk.taskthread import TaskThread

logger = LimitedLogger(logging.getLogger('zc.zk.follow'))


class Resolver:
    """The IP addresses of host names, asked for in a thread of its own.

    A name has one address: of several the lowest, an IPv4 address before an
    IPv6 one, and the one that it had for as long as it has it. When a name
    does not resolve any more, the last answer stays. `changed` is called,
    in the thread, after a change.
    """

    def __init__(self, interval: float, changed: Callable[[], None]) -> None:
        self._interval = interval
        self._changed = changed
        self._tasks = TaskThread('zc.zk follow names')
        self._lock = threading.Lock()
        self._wanted: frozenset[str] = frozenset()
        self._found: dict[str, str] = {}
        self._failed: set[str] = set()
        self._asked_at: dict[str, float] = {}

    def want(self, hosts: Collection[str]) -> None:
        """Set the hosts that are needed; new names are asked for at once."""
        now = time.monotonic()
        with self._lock:
            self._wanted = frozenset(
                host for host in hosts if not is_ip(host))
            for host in self._asked_at.keys() - self._wanted:
                del self._asked_at[host]
                self._found.pop(host, None)
                self._failed.discard(host)
            due = [host for host in self._wanted
                   if now - self._asked_at.get(host, float('-inf'))
                   >= self._interval]
            self._asked_at.update(dict.fromkeys(due, now))
        for host in due:
            self._tasks.put(partial(self._ask, host))

    def address(self, host: str) -> str | None:
        """Return the IP address of a host; None if it is not known."""
        return host if is_ip(host) else self._found.get(host)

    def is_settled(self) -> bool:
        """Return whether each wanted name has been asked for."""
        with self._lock:
            return self._wanted <= self._found.keys() | self._failed

    def close(self) -> None:
        """Ask no more."""
        self._tasks.close()

    def _ask(self, host: str) -> None:
        try:
            found = _resolve(host)
        except OSError as error:
            if host not in self._failed:
                logger.warning('%s does not resolve: %s; %s', host, error,
                               'the last address stays' if host in self._found
                               else 'the server is left out')
            self._failed.add(host)
            found = []
        with self._lock:
            if host not in self._wanted:
                return
            if found:
                self._failed.discard(host)
            before = self._found.get(host)
            if found and before not in found:
                self._found[host] = found[0]
        self._changed()


def is_ip(host: str) -> bool:
    """Return whether the host of a `Server` is an IP address, and no name."""
    return ':' in host or host.rpartition('.')[2].isdigit()


def _resolve(host: str) -> list[str]:
    """Return the addresses of a name that a server can have, in order."""
    found = set()
    for family, _, _, _, address in socket.getaddrinfo(
            host, None, type=socket.SOCK_STREAM):
        try:
            ip, _ = parse_server_addr(format_addr(str(address[0]), 1))
        except ValueError:
            continue  # 0.0.0.0, a multicast address, or one with a zone
        found.add((family == socket.AF_INET6, ip))
    if not found:
        raise OSError('it has no address that a server can have')
    return [ip for _, ip in sorted(found)]
