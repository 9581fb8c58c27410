"""Waiting for events of sockets: epoll, or poll where there is no epoll.

Both behave alike: an event of a connection is told once, and the next one
only after the connection was read until nothing was left, or written until
nothing went.  epoll does that by itself, as it is used edge-triggered, see
epoll(7): a connection costs one system call when it comes and one when it
goes.  poll has to be told by `arm`, which is what `must_arm` says.
"""
from __future__ import annotations

import os
import select
import threading
from typing import Final

READ: Final = 1
WRITE: Final = 4
GONE: Final = 8 | 16
HALF_CLOSED: Final = 0x2000


class Waker:
    """Ends a wait of the poller, by a pipe (the self-pipe trick).

    It is written once until it is drained, however often `wake` is called.
    `fd` is the end to be polled.
    """

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._end, False)
        self._is_set = False
        self._lock = threading.Lock()

    def wake(self) -> None:
        """End the current wait, or the next; for any thread."""
        with self._lock:
            if not self._is_set and self._end >= 0:
                self._is_set = True
                os.write(self._end, b'!')

    def drain(self) -> None:
        """Have the next `wake` write again."""
        with self._lock:
            if self._is_set and self._end >= 0:
                os.read(self.fd, 16)
                self._is_set = False

    def close(self) -> None:
        """Close both ends."""
        with self._lock:
            if self._end >= 0:
                os.close(self._end)
                os.close(self.fd)
                self._end = -1


class EpollPoller:
    """epoll, edge-triggered for connections; see epoll(7)."""

    must_arm = False

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._mask = (select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP
                      | select.EPOLLET)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        """Wait for `seconds` at most; return (descriptor, events) pairs."""
        return self._epoll.poll(seconds, 512)

    def add(self, fd: int) -> None:
        """Tell of a connection's events from now on."""
        self._epoll.register(fd, self._mask)

    def arm(self, fd: int, events: int) -> None:
        """Do nothing: an edge-triggered epoll tells by itself."""

    def remove(self, fd: int) -> None:
        """Tell of a connection no more: it is about to be closed.

        A child process that the application has forked may have it open.
        Then epoll would tell of it even after it is closed here, see
        epoll(7), by a number that the next connection has.
        """
        try:
            self._epoll.unregister(fd)
        except (FileNotFoundError, ValueError):
            # It was never added, or `close` came first.
            pass

    def add_source(self, fd: int) -> None:
        """Tell of a listener or a waker for as long as it is readable."""
        self._epoll.register(fd, select.EPOLLIN)

    def remove_source(self, fd: int) -> None:
        """Tell of a listener or a waker no more."""
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()


class PollPoller:
    """poll, for systems without epoll; see poll(2)."""

    must_arm = True

    def __init__(self) -> None:
        self._poll = select.poll()
        self._interest: dict[int, int] = {}
        self._lock = threading.Lock()
        self._is_polling = False
        self._waker = Waker()
        self._poll.register(self._waker.fd, READ)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        """Wait for `seconds` at most; return (descriptor, events) pairs."""
        self._is_polling = True
        found = self._poll.poll(seconds * 1000)
        self._is_polling = False
        with self._lock:
            for fd, events in found:
                if fd in self._interest:
                    left = self._interest[fd] & ~events
                    self._set(fd, 0 if events & GONE else left)
        self._waker.drain()
        return [item for item in found if item[0] != self._waker.fd]

    def _set(self, fd: int, interest: int) -> None:
        # poll(2) tells of a socket that is gone (POLLHUP) whatever the
        # interest in it, so without interest it must be unregistered.
        if interest:
            self._poll.register(fd, interest)
        elif self._interest[fd]:
            self._poll.unregister(fd)
        self._interest[fd] = interest

    def add(self, fd: int) -> None:
        """Tell of a connection's events from now on."""
        with self._lock:
            self._interest[fd] = 0
        self.arm(fd, READ | WRITE)

    def arm(self, fd: int, events: int) -> None:
        """Tell when `events` happen: until now they would not."""
        with self._lock:
            if fd in self._interest:
                self._set(fd, self._interest[fd] | events)
        if self._is_polling:
            self._waker.wake()

    def remove(self, fd: int) -> None:
        """Tell of a connection no more: it is about to be closed."""
        with self._lock:
            if self._interest.pop(fd, 0):
                self._poll.unregister(fd)

    def add_source(self, fd: int) -> None:
        """Tell of a listener or a waker for as long as it is readable."""
        self._poll.register(fd, READ)

    def remove_source(self, fd: int) -> None:
        """Tell of a listener or a waker no more."""
        self._poll.unregister(fd)

    def close(self) -> None:
        """Close the poller's own pipe."""
        self._waker.close()


Poller = EpollPoller | PollPoller


def make_poller(use_epoll: bool = True) -> Poller:
    """Return an epoll poller where there is one, else a poll poller."""
    if use_epoll and hasattr(select, 'epoll'):
        return EpollPoller()
    return PollPoller()
