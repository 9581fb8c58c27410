"""Functions that other threads want the loop's thread to call."""
import contextlib
import queue
import socket
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from zc.zk.embedded.errors import ServerError


class Calls:
    """A queue of calls, and a socket that wakes who waits for them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._is_closed = False

    def fileno(self) -> int:
        """The number that selectors want."""
        return self._wakened.fileno()

    def call(self, function: Callable[[], Any]) -> Any:
        """Have the loop's thread call a function; its result.

        ServerError when it has ended.
        """
        future: Future[Any] = Future()
        self._queue.put((function, future))
        with contextlib.suppress(OSError):  # it is awake, or has ended
            self._waker.send(b'\0')
        if self._is_closed:
            self._refuse()
        return future.result()

    def answer(self) -> None:
        """Make the calls that wait."""
        with contextlib.suppress(BlockingIOError):
            self._wakened.recv(1024)
        for function, future in self._waiting():
            _make(function, future)

    def answer_next(self) -> None:
        """Wait for a call and make it."""
        _make(*self._queue.get())

    def close(self) -> None:
        """Refuse all calls from now on."""
        self._is_closed = True
        self._refuse()
        self._waker.close()
        self._wakened.close()

    def _waiting(self) -> Iterator[tuple[Callable[[], Any], Future[Any]]]:
        while True:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def _refuse(self) -> None:
        for _, future in self._waiting():
            future.set_exception(ServerError('the server does not run'))


def _make(function: Callable[[], Any], future: Future[Any]) -> None:
    # The caller gets whatever it raises.
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001
        future.set_exception(error)
