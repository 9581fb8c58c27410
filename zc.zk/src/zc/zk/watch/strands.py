"""Run the tasks of many observers, of which any may block.

The tasks of one observer run one after the other, in their order: a strand.
One thread, the leader, runs the tasks of all strands in turn. When a task of
the leader takes longer than `GRACE_S` while others wait, another thread
becomes the leader, and the former one ends after that task. So there is one
thread, and one more for each task that blocks.
"""
from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from kazoo.exceptions import ConnectionClosedError
from zc.zk.connection.logs import REPORT_INTERVAL_S
from zc.zk.taskthread import TaskThread

logger = logging.getLogger('zc.zk.watch')

Task = Callable[[], None]

#: The longest time that a task delays those of other strands, in seconds.
GRACE_S = 0.02

#: The most threads, of which all but one run tasks that block. When all do,
#: other strands have to wait.
MAX_THREADS = 64


class Strand:
    """The tasks of one observer; `is_busy` while one runs or is to run."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.is_busy = False


class Strands:
    """Run tasks in strands; see the module. `name` is that of the threads.

    Any exception of a task is logged. The threads start with the first task.
    In a forked child, which has no copy of them, this is closed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pid = os.getpid()
        self._is_closed = False
        # Re-entrant: see TaskThread.
        self._changed = threading.Condition()
        self._strands: weakref.WeakKeyDictionary[Any, Strand] = (
            weakref.WeakKeyDictionary())
        self._ready: deque[Strand] = deque()
        self._threads: set[threading.Thread] = set()
        self._leader: threading.Thread | None = None
        # Whether the leader runs a task, and how many were begun.
        self._is_leading = False
        self._begun = 0
        self._clock = TaskThread(f'{name} clock')
        self._is_watched = False
        self._reported_at = -REPORT_INTERVAL_S

    @property
    def closed(self) -> bool:
        """Whether no more tasks are taken."""
        return self._is_closed or self._pid != os.getpid()

    def is_alive(self) -> bool:
        """Return whether a thread runs tasks, or will with the next."""
        leader = self._leader
        return not self.closed and (leader is None or leader.is_alive())

    def put(self, observer: Any, task: Task) -> bool:
        """Run a task after the observer's earlier ones. Thread-safe.

        Returns False, and does nothing, after `close`.
        """
        if self.closed:  # the lock may be another's for ever, after a fork
            return False
        with self._changed:
            if self.closed:
                return False
            strand = self._strands.get(observer)
            if strand is None:
                strand = self._strands[observer] = Strand()
            strand.tasks.append(task)
            if not strand.is_busy:
                strand.is_busy = True
                self._ready.append(strand)
            self._wake()
        return True

    def call_later(self, function: Task, delay_s: float) -> None:
        """Call a function, which does not wait, in `delay_s` seconds."""
        self._clock.put(function, delay_s)

    def close(self) -> None:
        """Drop the tasks that have not begun, and take no more."""
        if self.closed:
            return
        self._clock.close()
        with self._changed:
            self._is_closed = True
            self._ready.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait `timeout` seconds for running tasks to end; log if they do not.

        A task that calls this does not wait for itself.
        """
        if self._pid != os.getpid():
            return
        end = time.monotonic() + timeout
        with self._changed:
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._clock.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            logger.warning('%s: a task is still running', self._name)

    # With the lock:

    def _wake(self) -> None:
        if self._leader is None or not self._leader.is_alive():
            self._lead()
        if self._is_leading:
            self._watch()
        self._changed.notify_all()

    def _lead(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name,
                                  daemon=True)
        former, self._leader = self._leader, thread
        try:
            thread.start()
        except RuntimeError as error:
            # The limit of threads is reached; the next attempt comes soon.
            self._leader = former
            self._report(str(error))
        else:
            self._threads.add(thread)
            self._is_leading = False

    def _watch(self) -> None:
        if self._ready and not self._is_watched:
            self._is_watched = True
            self._clock.put(partial(self._check, self._begun), GRACE_S)

    def _report(self, why: str) -> None:
        now = time.monotonic()
        if now - self._reported_at >= REPORT_INTERVAL_S:
            self._reported_at = now
            logger.error('%s: callbacks have to wait for others: %s',
                         self._name, why)

    # In threads of our own:

    def _check(self, begun: int) -> None:
        """Have another thread lead if the leader is where it was."""
        with self._changed:
            self._is_watched = False
            if not (self._ready and self._is_leading) or self.closed:
                return
            if begun == self._begun:
                if len(self._threads) < MAX_THREADS:
                    self._lead()
                else:
                    self._report(f'{MAX_THREADS} are running')
            self._watch()

    def _run(self) -> None:
        while (strand := self._next()) is not None:
            task = strand.tasks.popleft()
            try:
                task()
            except ConnectionClosedError:
                logger.debug('Closed during a task', exc_info=True)
            except BaseException:
                logger.exception('A task of %s failed', self._name)
            del task  # else its objects would live until the next task
            self._finish(strand)

    def _next(self) -> Strand | None:
        """Wait for a strand that is ready; None for one that leads no more."""
        thread = threading.current_thread()
        with self._changed:
            while not self.closed and self._leader is thread:
                if self._ready:
                    self._is_leading = True
                    self._begun += 1
                    strand = self._ready.popleft()
                    self._watch()
                    return strand
                self._is_leading = False
                self._changed.wait()
            self._threads.discard(thread)
        return None

    def _finish(self, strand: Strand) -> None:
        with self._changed:
            if self._leader is threading.current_thread():
                self._is_leading = False
            if strand.tasks and not self.closed:
                self._ready.append(strand)
                self._wake()
            else:
                strand.is_busy = False
