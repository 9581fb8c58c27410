"""Run tasks in a thread of our own, so that kazoo's threads never wait.

kazoo calls listeners and watchers in its own threads, which also read the
connection: a listener that waits for an answer from ZooKeeper waits for ever.
"""
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

from kazoo.exceptions import ConnectionClosedError

logger = logging.getLogger('zc.zk')


class TaskThread:
    """One thread that runs tasks in the order in which they are due.

    The thread starts with the first task. Any exception of a task is logged,
    and the thread goes on. In a forked child, which has no copy of the
    thread, this is closed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._serial = itertools.count()
        self._tasks: list[tuple[float, int, Callable[[], None]]] = []
        # A condition's lock is re-entrant by default: a signal handler may
        # call `put` while its own thread is in `put`.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._is_closed = False

    @property
    def closed(self) -> bool:
        """Whether no more tasks are taken."""
        return self._is_closed or self._pid != os.getpid()

    def is_alive(self) -> bool:
        """Return whether the thread runs, or will with the first task."""
        if self.closed:
            return False
        return self._thread is None or self._thread.is_alive()

    def put(self, task: Callable[[], None], delay: float = 0.0) -> bool:
        """Schedule a task, `delay` seconds from now. Thread-safe.

        Returns False, and does nothing, after `close`.
        """
        if self.closed:  # the lock may be another's for ever, after a fork
            return False
        with self._changed:
            if self.closed:
                return False
            due = time.monotonic() + delay if delay else 0.0
            heapq.heappush(self._tasks, (due, next(self._serial), task))
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._changed.notify()
        return True

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name,
                                  daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The limit of threads is reached. The next task tries again.
            logger.error('%s: %s', self._name, error)
        else:
            self._thread = thread

    def close(self) -> None:
        """Drop the tasks that have not begun, and take no more."""
        if self.closed:
            return
        with self._changed:
            self._is_closed = True
            self._tasks.clear()
            self._changed.notify()

    def join(self, timeout: float | None = None) -> None:
        """Wait `timeout` seconds for the thread to end; log if it does not.

        Returns at once when a task calls it.
        """
        thread = self._thread
        if (thread is None or thread is threading.current_thread()
                or self._pid != os.getpid()):
            return
        thread.join(timeout)
        if thread.is_alive():
            logger.warning('%s: a task is still running', self._name)

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except ConnectionClosedError:
                logger.debug('Closed during a task', exc_info=True)
            except BaseException:
                logger.exception('A task of %s failed', self._name)
            del task  # else its objects would live until the next task

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self.closed:
                wait = None
                if self._tasks:
                    wait = self._tasks[0][0] - time.monotonic()
                    if wait <= 0:
                        return heapq.heappop(self._tasks)[2]
                self._changed.wait(wait)
        return None
