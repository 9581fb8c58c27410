"""Which sockets have something to do: epoll, or poll where there is none.

Both behave alike.  An event of a connection is told once; whoever has read
until nothing was left, or written until nothing went, is then told of what
comes later.  epoll does that by itself (it is used edge-triggered, so that a
connection costs one system call when it comes and one when it goes); poll has
to be told by `arm`, which is what `must_arm` says.
"""
from __future__ import annotations

import os
import select
import threading
from typing import Protocol

READ = 1
WRITE = 4
GONE = 8 | 16
HALF_CLOSED = 0x2000


class Waker:
    """A pipe that ends a wait; written once until it is drained."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._end, False)
        self._is_set = False
        self._lock = threading.Lock()

    def wake(self) -> None:
        """End the wait that goes on, or the next one."""
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


class Poller(Protocol):
    """What a loop and its connections need of a poller."""

    must_arm: bool

    def poll(self, seconds: float) -> list[tuple[int, int]]: ...

    def add(self, fd: int) -> None: ...

    def arm(self, fd: int, events: int) -> None: ...

    def remove(self, fd: int) -> None: ...

    def add_source(self, fd: int) -> None: ...

    def remove_source(self, fd: int) -> None: ...

    def close(self) -> None: ...


class EpollPoller:
    """epoll, edge-triggered for connections."""

    must_arm = False

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._mask = (select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP
                      | select.EPOLLET)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        """(descriptor, events) of what has something to do."""
        return self._epoll.poll(seconds, 512)

    def add(self, fd: int) -> None:
        """Tell the events of a connection from now on."""
        self._epoll.register(fd, self._mask)

    def arm(self, fd: int, events: int) -> None:
        """Do nothing: an edge-triggered epoll tells by itself."""

    def remove(self, fd: int) -> None:
        """A connection is about to be closed.

        A process that the application has forked may have it, too: then
        closing it here is not the end of what epoll tells of it, under a
        number that the next connection has.
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
    """poll, for systems without epoll."""

    must_arm = True

    def __init__(self) -> None:
        self._poll = select.poll()
        self._interest: dict[int, int] = {}
        self._lock = threading.Lock()
        self._is_polling = False
        self._waker = Waker()
        self._poll.register(self._waker.fd, READ)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        """(descriptor, events) of what has something to do."""
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
        # A socket that is gone is told of even without any interest in it,
        # so it must be out of the list.
        if interest:
            self._poll.register(fd, interest)
        elif self._interest[fd]:
            self._poll.unregister(fd)
        self._interest[fd] = interest

    def add(self, fd: int) -> None:
        """Tell the events of a connection from now on."""
        with self._lock:
            self._interest[fd] = 0
        self.arm(fd, READ | WRITE)

    def arm(self, fd: int, events: int) -> None:
        """Nothing more can be read, or written: tell when it can."""
        with self._lock:
            if fd in self._interest:
                self._set(fd, self._interest[fd] | events)
        if self._is_polling:
            self._waker.wake()

    def remove(self, fd: int) -> None:
        """A connection is about to be closed."""
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
        """Close what belongs to the poller."""
        self._waker.close()


def make_poller(use_epoll: bool = True) -> Poller:
    """The better one that there is."""
    if use_epoll and hasattr(select, 'epoll'):
        return EpollPoller()
    return PollPoller()
