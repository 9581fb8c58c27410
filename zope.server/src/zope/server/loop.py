"""The polling: what has happened on the connections, and what follows."""
from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

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
AT_ONCE = 64
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE = 0.25
# Between two lines of the log that say the same.
QUIET = 60.0
# An idle connection that makes room for others is at least so old.
SPARED = 1.0
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


class Acceptor:
    """Accepts connections and pauses while there is no room.

    While it pauses, connections wait in the listen queue and the idle
    connections that have waited longest are closed.
    """

    def __init__(self, context: Context, sock: socket.socket,
                 make_channel: Callable[[Any, Any], Channel]) -> None:
        self._context = context
        self._sock = sock
        self._make_channel = make_channel
        self._is_listening = False
        self.is_exhausted = False
        self.is_closed = False
        self._resume_at = 0.0
        self._silent_until: dict[str, float] = {}
        self.fd = sock.fileno()

    @property
    def is_paused(self) -> bool:
        """Whether connections have to wait."""
        return not self._is_listening and not self.is_closed

    def resume(self) -> None:
        """Accept again, if there is room."""
        context = self._context
        if (context.now >= self._resume_at and len(context.channels)
                < context.settings.connection_limit):
            context.poller.add_source(self.fd)
            self._is_listening = True

    def _pause(self, seconds: float) -> None:
        context = self._context
        self._resume_at = context.now + seconds
        if self._is_listening:
            context.poller.remove_source(self.fd)
            self._is_listening = False

    def make_room(self) -> None:
        """Close idle connections, those first that have waited longest."""
        now = self._context.now
        idle = [channel for channel in list(self._context.channels.values())
                if channel.is_idle and now - channel.since > SPARED]
        idle.sort(key=lambda channel: channel.since)
        for channel in idle[:AT_ONCE]:
            channel.close()

    def accept(self) -> list[Channel]:
        """New connections; `is_exhausted` then says if these were all."""
        found: list[Channel] = []
        context = self._context
        limit = context.settings.connection_limit
        self.is_exhausted = False
        for _ in range(0 if self.is_closed else AT_ONCE):
            if len(context.channels) >= limit and not context.is_draining:
                self._log(f'there are {limit} connections, which is the'
                          ' connection_limit; further ones have to wait')
                self._pause(0)
                break
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                self.is_exhausted = True
                break
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    # That connection is gone already; the next may not be.
                    continue
                self._log('no connection can be accepted:'
                          f' {error.strerror}')
                self._pause(PAUSE)
                break
            sock.setblocking(False)
            channel = self._make_channel(sock, address)
            context.channels[channel.fd] = channel
            found.append(channel)
        return found

    def _log(self, text: str) -> None:
        now = self._context.now
        kind = text[:20]
        if now >= self._silent_until.get(kind, 0):
            self._silent_until[kind] = now + QUIET
            logger.warning(text)

    def close(self) -> None:
        """Accept no more."""
        if not self.is_closed:
            if self._is_listening:
                self._context.poller.remove_source(self.fd)
            self.is_closed = True
            self._is_listening = False


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
