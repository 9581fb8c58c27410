"""The threads: N that run the application, and one that polls.

A leader/followers pool (Schmidt et al., POSA2), made to measure: handing a
request from the thread that polls to another thread costs more than a quick
application itself.  So the leader role, the right to poll, changes hands:

- While requests take their time, the polling thread is the leader.  It puts
  requests into a queue, from which the pool's threads take them.
- While requests are quick, a thread of the pool leads: it polls, runs what
  has come, a request at a time, and polls again.  Before each request it
  releases the leader role, and takes it again afterwards.  The polling thread
  looks every TICK_S: where the same request is still being run, it takes the
  role, puts what waits into the queue for the other threads, and polls on.

The time to read a large body does not count, as it is mere copying: see
`Task.grace`.

So at most N requests run at once, always in the same N threads, and no
request waits for a slow one for more than a few milliseconds.
"""
from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from queue import Empty
from queue import SimpleQueue
from time import monotonic
from typing import Any
from typing import Final

from zope.server.connection import Connection
from zope.server.loop import Loop
from zope.server.loop import give_up
from zope.server.loop import report
from zope.server.loop import safely

# A request is quick when the application takes less, on average.
QUICK_S: Final = 100e-6
# Of a request in the average.
WEIGHT: Final = 1 / 64
# No request counts for more: on a busy machine the time for which a thread is
# kept from running says nothing about the application.
LONG_S: Final = 5 * QUICK_S
# The average counts once it is made of this many requests.
TRIAL_REQUESTS = 256
# How often the polling thread looks after a leader of the pool.
TICK_S = 0.004
# After this many ticks without a request the polling thread parks.
IDLE_TICKS = 5

# Items of the queue: lead, and end.
LEAD: Final = object()
STOP: Final = object()


class ThreadPool:
    """The threads of a server."""

    def __init__(self, loop: Loop, count: int, name: str) -> None:
        self._loop = loop
        self._count = count
        self._name = name
        self._queue: SimpleQueue[Any] = SimpleQueue()
        # Has one item while no thread has the leader role.
        self._released: deque[None] = deque()
        self._releases = 0
        # The pool's leader has stopped to lead.
        self._is_returned = False
        self._is_parked = False
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._empty_wakes()
        self._average = LONG_S
        self._served = 0
        self._is_stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        targets = [(self._poll, 'poll')] + [
            (self._work, str(number + 1)) for number in range(self._count)]
        for target, name in targets:
            thread = threading.Thread(
                target=target, name=f'{self._name}-{name}', daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def workers(self) -> list[threading.Thread]:
        """The threads that run the application."""
        return self._threads[1:]

    @property
    def finished(self) -> int:
        """How many requests the threads have finished."""
        return self._served

    @property
    def queued(self) -> int:
        """How many requests wait for a thread, about."""
        return self._queue.qsize() + len(self._loop.ready)

    @property
    def is_quick(self) -> bool:
        """Whether requests are quick, on average."""
        return self._average < QUICK_S

    def stop(self, timeout: float) -> int:
        """End the threads within `timeout` seconds.

        Return how many are still in the application.
        """
        self._is_stopping = True
        if self._threads:
            self._loop.call(lambda: None)
        self._wakes.put(None)
        for _ in range(self._count):
            self._queue.put(STOP)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0, deadline - monotonic()))
        return sum(thread.is_alive() for thread in self._threads)

    def leftover(self) -> list[Connection]:
        """Return connections whose requests no thread runs, after `stop`."""
        found, stops = list(self._loop.ready), 0
        with contextlib.suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if item is STOP:
                    stops += 1
                elif item is not LEAD:
                    found.append(item)
        # Threads that are still in the application are to find theirs.
        for _ in range(stops):
            self._queue.put(STOP)
        return found

    # A thread of the pool.

    def _work(self) -> None:
        while True:
            # What comes while this thread waits has not waited for it.
            has_waited = not self._queue.empty()
            item = self._queue.get()
            if item is STOP:
                return
            if item is LEAD:
                if self._take_lead():
                    self._lead()
            else:
                started = monotonic()
                began = started + item.grace
                if has_waited and safely(item, item.is_abandoned):
                    safely(item, item.skip)
                    self._pass_on(item)
                    continue
                safely(item, item.serve, started)
                self._note(monotonic() - began)
                self._pass_on(item)

    def _take_lead(self) -> bool:
        """Take the leader role; return whether it was free."""
        try:
            self._released.pop()
        except IndexError:
            return False
        return True

    def _note(self, seconds: float) -> None:
        """Count a request that took this long."""
        if seconds > LONG_S:
            seconds = LONG_S
        elif seconds < 0:
            seconds = 0.0
        self._average += (seconds - self._average) * WEIGHT
        self._served += 1

    def _pass_on(self, connection: Connection) -> None:
        """Queue the connection if its next request is complete already."""
        if safely(connection, connection.proceed):
            self._queue.put(connection)

    def _lead(self) -> None:
        """Poll and run what comes, while requests are quick."""
        loop = self._loop
        self._empty_queue()
        try:
            while not self._is_stopping and self._average < QUICK_S:
                grace = loop.turn()
                started = monotonic()
                began = started + grace
                for _ in range(len(loop.ready)):
                    ended = self._run_ready(started)
                    if not ended:
                        self._note(LONG_S)
                        return
                    self._note(ended - began)
                    started = began = ended
                    if not loop.ready:
                        # The polling thread has led meanwhile.
                        break
        except BaseException:  # noqa: BLE001 (threads go on)
            report('the polling goes on: this must not happen')
        self._is_returned = True
        self._released.append(None)
        self._wakes.put(None)

    def _empty_queue(self) -> None:
        # What is there may wait for this very thread.
        try:
            while (item := self._queue.get_nowait()) is not STOP:
                if item is not LEAD:
                    self._loop.ready.append(item)
            self._queue.put(STOP)
        except Empty:
            pass

    def _run_ready(self, started: float) -> float:
        """Run the first that is ready, and return when its serving ended.

        That is as of time.monotonic(), read once for each request: it takes
        0.06 us.  The end of one is the start of the next.  Return 0 if another
        thread leads now.
        """
        connection = self._loop.ready.popleft()
        self._releases += 1
        self._released.append(None)
        if self._is_parked:
            self._is_parked = False
            self._wakes.put(None)
        # What safely and _take_lead do, at less expense.
        try:
            connection.serve(started)
        except BaseException:  # noqa: BLE001 (threads go on)
            give_up(connection)
            connection.ended = monotonic()
        try:
            self._released.pop()
        except IndexError:
            self._pass_on(connection)
            return 0.0
        try:
            if connection.proceed(is_leader=True):
                self._loop.ready.append(connection)
        except BaseException:  # noqa: BLE001 (threads go on)
            give_up(connection)
        return connection.ended

    # The polling thread.

    def _poll(self) -> None:
        trial_ends = TRIAL_REQUESTS
        while not self._is_stopping:
            try:
                self._loop.turn()
            except BaseException:  # noqa: BLE001 (threads go on)
                report('the polling goes on: this must not happen')
                time.sleep(TICK_S)
            self._hand_out()
            if self._average < QUICK_S and self._served > trial_ends:
                self._released.append(None)
                self._queue.put(LEAD)
                self._watch()
                self._hand_out()
                trial_ends = self._served + TRIAL_REQUESTS

    def _hand_out(self) -> None:
        ready = self._loop.ready
        while ready:
            self._queue.put(ready.popleft())

    def _watch(self) -> None:
        """Return as the leader, once a thread runs a request for too long."""
        seen, idle = -1, 0
        while not self._is_stopping:
            if self._is_returned:
                self._is_returned = False
                if self._take_lead():
                    return
            if not self._released:
                idle = idle + 1 if self._releases == seen else 0
            elif self._releases == seen and self._take_lead():
                return
            seen = self._releases
            if idle >= IDLE_TICKS:
                self._park()
                seen, idle = -1, 0
            if self._is_woken(TICK_S):
                seen = -1

    def _park(self) -> None:
        """Sleep until the leader begins a request."""
        self._is_parked = True
        if not self._released:
            self._is_woken(None)
        self._is_parked = False

    def _is_woken(self, timeout: float | None) -> bool:
        try:
            self._wakes.get(timeout=timeout)
        except Empty:
            return False
        self._empty_wakes()
        return True

    def _empty_wakes(self) -> None:
        """Take all wakes, as one look follows.

        In Python 3.10, `get` waits for ever if its timeout ends while it takes
        the queue's lock, which only a `get` that finds nothing leaves taken.
        """
        with contextlib.suppress(Empty):
            while True:
                self._wakes.get_nowait()
