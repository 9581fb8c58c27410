"""The polling: what has happened on the connections, and what follows."""
from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from zope.server.acceptor import Acceptor
from zope.server.connection import READABLE
from zope.server.connection import Channel
from zope.server.poller import GONE
from zope.server.poller import READ
from zope.server.poller import WRITE
from zope.server.shared import Context

logger = logging.getLogger('zope.server')

SWEEP = 1.0
WHILE_PAUSED = 0.05
WHILE_WAITING = 0.005
CLOSED = '%s is closed: this must not happen'


def report(text: str, *arguments: Any) -> None:
    """Log the exception that is being handled, if that can be done.

    A logging filter or handler may fail each time, and threads must go on.
    """
    with contextlib.suppress(BaseException):
        logger.exception(text, *arguments)


def safely(channel: Channel, function: Callable[..., bool | None],
           *arguments: Any) -> bool | None:
    """What a connection's function returns; None when it has failed.

    The connection is then closed, and its request given up.
    """
    try:
        return function(*arguments)
    except BaseException:  # noqa: BLE001 (threads go on)
        # SystemExit, too, as from a filter of logging.
        report(CLOSED, channel)
        channel.give_up()
        return None


class Loop:
    """Polls, a turn at a time.

    Any thread may take a turn, but only one at a time.  `ready` has the
    connections that a worker is to serve, in their order.
    """

    def __init__(self, context: Context, acceptor: Acceptor) -> None:
        self.context = context
        self.acceptor = acceptor
        self.ready: deque[Channel] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._next_sweep = 0.0
        self._stood_still = False
        # What is left of a turn.
        self._rest: Iterator[tuple[int, int]] | None = None
        self._sources: list[int] = []
        # There may be room for more of the bodies that wait for some.
        self._may_go_on = False

    def call(self, function: Callable[[], object]) -> None:
        """Have it called by whoever polls."""
        self._calls.append(function)
        self.context.waker.wake()

    def turn(self) -> float:
        """Wait until something happens, unless there is work already.

        A turn ends early where a large body is complete, so that it is read
        while it is in the processor's cache; the next one goes on from there,
        and only then are connections accepted and calls made.  The `grace` of
        that request, or 0.
        """
        context = self.context
        found = self._rest
        if found is None:
            wait = 0.0 if (self.ready or context.again
                           or self._may_go_on) else (
                WHILE_WAITING if context.waiting else
                WHILE_PAUSED if self.acceptor.is_paused else SWEEP)
            self._may_go_on = False
            found = self._rest = iter(context.poller.poll(wait))
        context.tick()
        channels, ready, sources = context.channels, self.ready, self._sources
        for fd, events in found:
            channel = channels.get(fd)
            if channel is None:
                sources.append(fd)
                continue
            # Only we make a connection busy, so the lock can wait.
            if channel.is_busy and not self._is_released(channel, events):
                continue
            # What _handle does, at less expense.
            try:
                if channel.handle(events):
                    ready.append(channel)
                    grace = channel.grace
                    if grace:
                        return grace
            except BaseException:  # noqa: BLE001 (threads go on)
                report(CLOSED, channel)
                channel.give_up()
        self._rest = None
        # Connections are accepted last: a new one may have the descriptor of
        # one of which an event was still to come.
        while sources:
            self._source(sources.pop())
        if context.now >= self._next_sweep:
            self._sweep()
        elif self.acceptor.is_paused:
            self.acceptor.resume()
        grace = self._again() if context.again else 0.0
        if context.waiting:
            grace += self._end_waits()
        return grace

    def _is_released(self, channel: Channel, events: int) -> bool:
        """Leave a busy connection a note; whether it has become ours."""
        with self.context.lock:
            if not channel.is_busy:
                return True
            channel.events |= events & READABLE
        if events & GONE:
            channel.output.abort()
        if not (events & WRITE and channel.output.parts):
            return False
        channel.advance()
        # Its worker may have left the rest to us, and this was the rest.
        with self.context.lock:
            return not channel.is_busy

    def _handle(self, channel: Channel, events: int) -> float:
        """Go on with a connection; the `grace` of a request then complete."""
        if not safely(channel, channel.handle, events):
            return 0.0
        self.ready.append(channel)
        return channel.grace

    def _source(self, fd: int) -> None:
        if fd == self.context.waker.fd:
            # In this order: what is called now needs no further wake-up.
            self.context.waker.drain()
            while self._calls:
                self._call(self._calls.popleft())
        elif fd == self.acceptor.fd:
            self.accept()

    def _call(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException:  # noqa: BLE001 (threads go on)
            report('the polling goes on after a failed call')

    def accept(self) -> int:
        """Take new connections, to look soon what they say; how many."""
        found = self.acceptor.accept()
        self.context.again.extend(found)
        return len(found)

    def _again(self) -> float:
        """Go on with those that were not done; the `grace` of a request."""
        again = self.context.again
        for _ in range(len(again)):
            channel = again.popleft()
            if (not channel.is_busy
                    or self._is_released(channel, READ | WRITE)):
                grace = self._handle(channel, READ | WRITE)
                if grace:
                    return grace
        return 0.0

    def _end_waits(self) -> float:
        """Go on with the bodies for which there is room, in their order.

        The `grace` of the first that is complete then.
        """
        waiting = self.context.waiting
        while waiting:
            channel = waiting[0]
            if channel.is_busy:
                # A worker has just left it there, and is not done with it.
                break
            if not safely(channel, channel.end_wait) and (
                    channel.is_waiting):
                break
            waiting.popleft()
            grace = self._handle(channel, 0)
            if grace:
                self._may_go_on = True
                return grace
        return 0.0

    def _sweep(self) -> None:
        context = self.context
        stood_still = (0 < self._next_sweep < context.now - 2 * SWEEP
                       and not self._stood_still)
        self._next_sweep = context.now + SWEEP
        self._stood_still = stood_still
        if stood_still:
            # What clients have sent meanwhile is to be read first.
            return
        for channel in list(context.channels.values()):
            if not channel.is_busy and safely(
                    channel, channel.check, context.now):
                self.ready.append(channel)
        context.memory.tidy()
        if self.acceptor.is_paused:
            self.acceptor.make_room()
            self.acceptor.resume()
