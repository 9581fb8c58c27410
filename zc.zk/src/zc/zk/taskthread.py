"""Run tasks in a thread of our own, so that kazoo's threads never wait.

kazoo calls listeners and watchers in its own threads, which also read the
connection: a listener that waits for an answer from ZooKeeper waits for ever.
"""
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from kazoo.exceptions import ConnectionClosedError

logger = logging.getLogger('zc.zk')


class TaskThread:
    """One thread that runs tasks in the order in which they are due.

    The thread starts with the first task. An exception of a task is logged,
    and the thread goes on.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._serial = itertools.count()
        self._tasks: list[tuple[float, int, Callable[[], None]]] = []
        # A condition's lock is re-entrant by default: a signal handler may
        # call `put` while its own thread is in `put`.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.closed = False

    def put(self, task: Callable[[], None], delay: float = 0.0) -> bool:
        """Schedule a task, `delay` seconds from now. Thread-safe.

        Returns False, and does nothing, after `close`.
        """
        with self._changed:
            if self.closed:
                return False
            due = time.monotonic() + delay if delay else 0.0
            heapq.heappush(self._tasks, (due, next(self._serial), task))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    def close(self) -> None:
        """Drop the tasks that have not begun, and take no more."""
        with self._changed:
            self.closed = True
            self._tasks.clear()
            self._changed.notify()

    def join(self, timeout: float | None = None) -> None:
        """Wait `timeout` seconds for the thread to end; log if it does not.

        Returns at once when a task calls it.
        """
        thread = self._thread
        if thread is None or thread is threading.current_thread():
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
            except Exception:
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
