"""The polling: what has happened on the connections, and what follows."""
from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from zc.zkzopeserver.http.acceptor import Acceptor
from zc.zkzopeserver.http.channel import READABLE
from zc.zkzopeserver.http.channel import Channel
from zc.zkzopeserver.http.context import Context
from zc.zkzopeserver.http.polling import GONE
from zc.zkzopeserver.http.polling import READ
from zc.zkzopeserver.http.polling import WRITE

logger = logging.getLogger(__name__)

SWEEP = 1.0
WHILE_PAUSED = 0.05


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

    def call(self, function: Callable[[], None]) -> None:
        """Have it called by whoever polls."""
        self._calls.append(function)
        self.context.waker.wake()

    def turn(self) -> None:
        """Wait until something happens, unless there is work already."""
        context = self.context
        wait = 0.0 if self.ready or context.again else (
            WHILE_PAUSED if self.acceptor.is_paused else SWEEP)
        found = context.poller.poll(wait)
        context.tick()
        channels, lock = context.channels, context.lock
        for fd, events in found:
            channel = channels.get(fd)
            if channel is None:
                self._source(fd)
                continue
            with lock:
                is_busy = channel.is_busy
                if is_busy:
                    channel.events |= events & READABLE
            if not is_busy or self._is_released(channel, events):
                self._handle(channel, events)
        if context.again:
            self._again()
        if context.now >= self._next_sweep:
            self._sweep()
        elif self.acceptor.is_paused:
            self.acceptor.resume()

    def _is_released(self, channel: Channel, events: int) -> bool:
        """Send for a busy connection; whether it has become ours by that."""
        if events & GONE:
            channel.output.abort()
        if not (events & WRITE and channel.output):
            return False
        channel.advance()
        # Its worker may have left the rest to us, and this was the rest.
        with self.context.lock:
            return not channel.is_busy

    def _handle(self, channel: Channel, events: int) -> None:
        try:
            if channel.handle(events):
                self.ready.append(channel)
        except Exception:
            logger.exception('a connection is closed: this must not happen')
            channel.close()

    def _source(self, fd: int) -> None:
        if fd == self.context.waker.fd:
            # In this order: what is called now needs no further wake-up.
            self.context.waker.drain()
            while self._calls:
                self._calls.popleft()()
        elif fd == self.acceptor.fd:
            self.accept()

    def accept(self) -> None:
        """Take new connections and look what they have to say."""
        for channel in self.acceptor.accept():
            self._handle(channel, READ)

    def _again(self) -> None:
        again, self.context.again = self.context.again, []
        for channel in again:
            with self.context.lock:
                is_busy = channel.is_busy
                if is_busy:
                    channel.events |= READ
            if not is_busy or self._is_released(channel, WRITE):
                self._handle(channel, READ | WRITE)

    def _sweep(self) -> None:
        context = self.context
        self._next_sweep = context.now + SWEEP
        for channel in list(context.channels.values()):
            if not channel.is_busy:
                try:
                    if channel.check(context.now):
                        self.ready.append(channel)
                except Exception:
                    logger.exception(
                        'a connection is closed: this must not happen')
                    channel.close()
        if self.acceptor.is_paused:
            self.acceptor.resume()
