"""Signals: the one place that installs handlers, for each role of a process.

Handlers only set or queue; a thread, or a selector's loop, then does the
work.  Python runs handlers in the main thread and installs them from there
only (https://docs.python.org/3/library/signal.html#signals-and-threads): in
any other thread the functions of this module install nothing, and
`SignalReceiver` raises ValueError.  The old handlers are always restored.
"""
from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from zc.zkzopeserver import rotation

logger = logging.getLogger('zc.zkzopeserver.signals')

STOP_SIGNALS = signal.SIGTERM, signal.SIGINT

# Signals that are for the parent of workers.  systemd sends them to all
# processes of a service; their default would end or halt a worker.
PARENT_SIGNALS = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU,
                  signal.SIGUSR2)

# Seconds in which stop signals count as one request: timeout(1) signals its
# child and then the child's group, and at the end of a terminal both the
# shell and the kernel send SIGHUP.
SAME_REQUEST_S = 0.5


class RunningService(Protocol):
    """What signals and tests need of a service that runs."""

    #: Set once the service has stopped.
    stopped: threading.Event

    def request_stop(self) -> None:
        """Begin the graceful stop; safe in signal handlers."""

    def force_exit(self) -> None:
        """Stop without waiting for anything; safe in signal handlers."""

    def reopen_logs(self) -> list[str]:
        """Open the log files of the server anew; return what failed."""


#: The services that run in this process, each with the thread it runs in.
running: dict[RunningService, threading.Thread] = {}


# Installing handlers.

@contextlib.contextmanager
def handlers(wanted: Mapping[int, Any]) -> Iterator[None]:
    """Install handlers by signal number; restore the old ones at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, handler)
           for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None: the handler was not installed by Python.
            signal.signal(number, handler or signal.SIG_DFL)


def calling(numbers: Iterable[int], function: Callable[[], None]
            ) -> contextlib.AbstractContextManager[None]:
    """Have `function` called, in the main thread, at each of the signals."""
    return handlers(dict.fromkeys(numbers, lambda *_: function()))


# A server of one process, and a worker.

class StopRequests:
    """Tell a repeated stop signal from the first.

    Signals within SAME_REQUEST_S seconds of the first one count as one.  Safe
    in signal handlers: there are no locks.  `clock` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first_at: float | None = None

    def is_repeated(self) -> bool:
        """Count a signal; return whether it repeats the first request."""
        now = self._clock()
        if self._first_at is None:
            self._first_at = now
        return now - self._first_at >= SAME_REQUEST_S


@contextlib.contextmanager
def stopping(service: RunningService) -> Iterator[None]:
    """Have SIGTERM and SIGINT stop a service that now runs in this thread.

    The first signal asks for the graceful stop, a repeated one forces it.
    """
    requests = StopRequests()

    def stop() -> None:
        if requests.is_repeated():
            service.force_exit()
        else:
            service.request_stop()

    running[service] = threading.current_thread()
    try:
        with calling(STOP_SIGNALS, stop):
            yield
    finally:
        del running[service]


def stopping_worker(service: RunningService
                    ) -> contextlib.AbstractContextManager[None]:
    """Have SIGTERM and SIGINT stop a worker, and ignore PARENT_SIGNALS.

    However often the stop is asked for, it is graceful: the parent signals a
    worker, and systemd perhaps all processes of a service.  Only the parent
    forces the stop, by a message.
    """
    return handlers(dict.fromkeys(STOP_SIGNALS,
                                  lambda *_: service.request_stop())
                    | dict.fromkeys(PARENT_SIGNALS, signal.SIG_IGN))


# A process in the foreground.

@contextlib.contextmanager
def serving_operators() -> Iterator[None]:
    """Have SIGUSR2 open log files anew, and SIGHUP stop without a terminal.

    By default either signal would end the process.  A SIGHUP that is ignored
    stays so, as nohup(1) wants it.  A parent of workers has handlers of its
    own while it runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    thread = threading.Thread(
        target=_serve_operators, args=(received, os.isatty(0)),
        name='zc.zkzopeserver.signals', daemon=True)
    thread.start()
    numbers = [signal.SIGUSR2]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    try:
        with handlers(dict.fromkeys(
                numbers, lambda number, _: received.put(number))):
            yield
    finally:
        received.put(None)
        thread.join()


def _serve_operators(received: queue.SimpleQueue[int | None],
                     had_terminal: bool) -> None:
    for number in iter(received.get, None):
        try:
            if number == signal.SIGUSR2:
                rotation.reopen(list(running))
            elif had_terminal and not os.isatty(0):
                logger.info('SIGHUP, as the terminal is gone')
                stop_all()
            else:
                logger.warning('SIGHUP: one process cannot be replaced'
                               ' without a gap; restart it instead')
        except Exception:
            logger.exception('at signal %s', number)


def stop_all() -> None:
    """Stop this process as SIGTERM does.

    Where a service runs, ask it: a SIGTERM that arrives while the main thread
    returns from another handler to its waiting would not wake that thread.
    """
    services = list(running)
    for service in services:
        service.request_stop()
    if not services:
        os.kill(os.getpid(), signal.SIGTERM)


# The parent of workers.

class SignalReceiver:
    """The signals that arrive inside a ``with``, as bytes in a socket.

    A selector can wait for them, and none is lost: Python writes the number
    of each signal into the socket (`signal.set_wakeup_fd`).
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SignalReceiver:
        with self._stack as stack:
            self._reader, writer = socket.socketpair()
            for sock in self._reader, writer:
                stack.enter_context(sock)
                sock.setblocking(False)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(
                writer.fileno(), warn_on_full_buffer=False))
            # Python writes only the signals that have a handler.
            stack.enter_context(
                handlers(dict.fromkeys(self._numbers, lambda *_: None)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def fileno(self) -> int:
        """Return the file descriptor that a selector waits for."""
        return self._reader.fileno()

    def read(self) -> list[int]:
        """Return the numbers of the signals since the last call, in order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []
