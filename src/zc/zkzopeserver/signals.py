"""Signals as bytes in a socket: what a loop can wait for, and nothing lost.

The handlers do nothing; Python writes the number of each signal into the
socket, where a selector sees it.
"""
from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterable


class Wakeup:
    """The signals that arrive between entering and leaving a ``with``.

    For the main thread, as `signal.signal` is.  Old handlers are restored.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Wakeup:
        with self._stack as stack:
            self._reader, writer = socket.socketpair()
            for sock in self._reader, writer:
                stack.enter_context(sock)
                sock.setblocking(False)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(
                writer.fileno(), warn_on_full_buffer=False))
            for number in self._numbers:
                old = signal.signal(number, _ignore)
                # None: set by something that is not Python.
                stack.callback(signal.signal, number, old or signal.SIG_DFL)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._reader.fileno()

    def read(self) -> list[int]:
        """The signals since the last call, in their order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []


def _ignore(number: int, frame: object) -> None:
    """A handler, for there must be one."""
