"""The threads: N that run the application, one that polls.

Handing a request from the thread that polls to another costs more than a
quick application itself.  So there is a baton, the right to poll:

- While requests take their time, the polling thread has the baton.  It puts
  requests into a queue, from which the workers take them.
- While requests are quick, a worker has it: it polls, runs what has come, one
  request after the other, and polls again.  Before each request it lays the
  baton down, and afterwards picks it up again.  The polling thread looks every
  few milliseconds: where the same request is still being run, it takes the
  baton, puts what waits into the queue for the other workers, and polls on.

What reading a large body takes does not count; it is mere copying.

So at most N requests run at once, always in the same N threads, and nothing
waits for a slow one for more than a few milliseconds.
"""
from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from queue import Empty
from queue import SimpleQueue
from typing import Any

from zope.server.connection import Channel
from zope.server.loop import Loop
from zope.server.loop import report
from zope.server.loop import safely

# A request is quick when the application takes less, on average.
QUICK = 100e-6
WEIGHT = 1 / 64
# Nothing counts for more: where a machine is busy, a thread that is kept from
# running says nothing about the application.
LONG = 5 * QUICK
# So many requests are run before the average counts.
TRIAL = 256
TICK = 0.004
IDLE_TICKS = 5

BATON = object()
STOP = object()


class Workers:
    """The threads of a server."""

    def __init__(self, loop: Loop, count: int, name: str) -> None:
        self._loop = loop
        self._count = count
        self._name = name
        self._queue: SimpleQueue[Any] = SimpleQueue()
        # Has one item while the baton lies there.
        self._laid_down: deque[None] = deque()
        self._times_laid = 0
        self._is_given_back = False
        self._is_dozing = False
        self._rouse: SimpleQueue[None] = SimpleQueue()
        self._average = LONG
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
    def queued(self) -> int:
        """How many requests wait for a thread, about."""
        return self._queue.qsize() + len(self._loop.ready)

    def stop(self, timeout: float) -> int:
        """End the threads; how many are still in the application."""
        self._is_stopping = True
        if self._threads:
            self._loop.call(lambda: None)
        self._rouse.put(None)
        for _ in range(self._count):
            self._queue.put(STOP)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return sum(thread.is_alive() for thread in self._threads)

    def leftover(self) -> list[Channel]:
        """After a stop: the connections whose requests nobody runs."""
        found, stops = list(self._loop.ready), 0
        with contextlib.suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if item is STOP:
                    stops += 1
                elif item is not BATON:
                    found.append(item)
        # Those who are still in the application are to find theirs.
        for _ in range(stops):
            self._queue.put(STOP)
        return found

    # A worker.

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is STOP:
                return
            if item is BATON:
                if self._picks_up():
                    self._hold()
            else:
                began = time.perf_counter() + item.grace
                safely(item, item.serve)
                self._note(time.perf_counter() - began)
                self._pass_on(item)

    def _picks_up(self) -> bool:
        """Take the baton, if it lies there."""
        try:
            self._laid_down.pop()
        except IndexError:
            return False
        return True

    def _note(self, seconds: float) -> None:
        """A request took so long."""
        if seconds > LONG:
            seconds = LONG
        elif seconds < 0:
            seconds = 0
        self._average += (seconds - self._average) * WEIGHT
        self._served += 1

    def _pass_on(self, channel: Channel) -> None:
        """Leave a connection, or its next request, to others."""
        if safely(channel, channel.proceed):
            self._queue.put(channel)

    def _hold(self) -> None:
        """Poll and run what comes, while requests are quick."""
        loop = self._loop
        self._empty_queue()
        try:
            while not self._is_stopping and self._average < QUICK:
                began = loop.turn() + time.perf_counter()
                for _ in range(len(loop.ready)):
                    if not self._run_ready():
                        self._note(LONG)
                        return
                    ended = time.perf_counter()
                    self._note(ended - began)
                    began = ended
                    if not loop.ready:
                        # The baton was away meanwhile, and back.
                        break
        except BaseException:  # noqa: BLE001 (threads go on)
            report('the polling goes on: this must not happen')
        self._is_given_back = True
        self._laid_down.append(None)
        self._rouse.put(None)

    def _empty_queue(self) -> None:
        # What is there may wait for this very thread.
        try:
            while (item := self._queue.get_nowait()) is not STOP:
                if item is not BATON:
                    self._loop.ready.append(item)
            self._queue.put(STOP)
        except Empty:
            pass

    def _run_ready(self) -> bool:
        """Run the first that is ready; whether the baton is still ours."""
        channel = self._loop.ready.popleft()
        self._times_laid += 1
        self._laid_down.append(None)
        if self._is_dozing:
            self._is_dozing = False
            self._rouse.put(None)
        safely(channel, channel.serve)
        if not self._picks_up():
            self._pass_on(channel)
            return False
        if safely(channel, channel.proceed):
            self._loop.ready.append(channel)
        return True

    # The polling thread.

    def _poll(self) -> None:
        trial_ends = TRIAL
        while not self._is_stopping:
            try:
                self._loop.turn()
            except BaseException:  # noqa: BLE001 (threads go on)
                report('the polling goes on: this must not happen')
                time.sleep(TICK)
            self._hand_out()
            if self._average < QUICK and self._served > trial_ends:
                self._laid_down.append(None)
                self._queue.put(BATON)
                self._watch()
                self._hand_out()
                trial_ends = self._served + TRIAL

    def _hand_out(self) -> None:
        ready = self._loop.ready
        while ready:
            self._queue.put(ready.popleft())

    def _watch(self) -> None:
        """Return with the baton, once it lies there for too long."""
        seen, idle = -1, 0
        while not self._is_stopping:
            if self._is_given_back:
                self._is_given_back = False
                if self._picks_up():
                    return
            if not self._laid_down:
                idle = idle + 1 if self._times_laid == seen else 0
            elif self._times_laid == seen and self._picks_up():
                return
            seen = self._times_laid
            if idle >= IDLE_TICKS:
                self._doze()
                seen, idle = -1, 0
            if self._is_roused(TICK):
                seen = -1

    def _doze(self) -> None:
        """Sleep until a worker begins a request."""
        self._is_dozing = True
        if not self._laid_down:
            self._is_roused(None)
        self._is_dozing = False

    def _is_roused(self, timeout: float | None) -> bool:
        try:
            self._rouse.get(timeout=timeout)
        except Empty:
            return False
        return True
