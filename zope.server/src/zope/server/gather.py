"""Gathers small blocks of a response, and sends none of them late.

PEP 3333 lets a server keep a block while the application makes the next one,
if it is sure to send it.  A system call for each short line would cost ten
times what the line itself does.

The first blocks are sent at once.  When QUICK_BLOCKS blocks have come, each
within QUICK_S of the one before, further ones are gathered, up to a size.  A
thread of the server, the flusher, looks every TICK_S: it sends what is kept,
so that no block waits for longer.  Where nothing is kept the application has
paused, and the next block is sent at once again.
"""
from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from operator import length_hint

from zope.server.errors import Disconnected

logger = logging.getLogger('zope.server')

# Small responses must not wake the flusher.
QUICK_BLOCKS = 6
QUICK_S = 0.001
TICK_S = 0.002
# So much is sent together.
GATHERED_BYTES = 32768
# How many blocks are taken at once, at first and at most.
FIRST_PERMITS = 64
MOST_PERMITS = 256


class Gatherer:
    """The small blocks of one response.

    `blocks` is appended to without a lock; afterwards `flush` is to be called
    if `is_gathering` is false, or if there are `limit` bytes.  Either that
    sees a block, or the flusher does.

    `send` and `send_on` send a part of the body, and raise Disconnected; only
    the former may wait for the client.  `is_sending` tells whether the client
    has yet to take what was sent before.
    """

    def __init__(self, send: Callable[[bytes], None],
                 send_on: Callable[[bytes], None],
                 is_sending: Callable[[], bool], flusher: Flusher,
                 limit: int) -> None:
        self.limit = limit
        self.blocks: deque[bytes] = deque()
        self.is_gathering = False
        self._send = send
        self._send_on = send_on
        self._is_sending = is_sending
        self._flusher = flusher
        self._lock = threading.Lock()
        self._permits: list[bytes] = []
        self._size = 0
        self._quick = 0
        self._last = 0.0

    def add(self, data: bytes) -> None:
        """Send or keep a block; raise Disconnected."""
        self.blocks.append(data)
        self._size += len(data)
        if self._size >= self.limit or not self.is_gathering:
            self.flush()

    def take(self, blocks: Iterator[bytes]) -> None:
        """Gather blocks as they come, without a line of Python for each.

        It returns when there are no more, when they pause, or when nothing
        but empty blocks has come.  Each block needs a permit, so that the
        flusher can end this by taking the permits away: the iterator of a
        list ends with the list, and `zip` then takes no block.  Raise
        Disconnected, and TypeError for a block that is no bytes.
        """
        count = FIRST_PERMITS
        while self.is_gathering:
            self._permits = [b''] * count
            if not self.is_gathering:
                # The flusher may have seen the former permits only.
                return
            permits = iter(self._permits)
            self.blocks.extend(
                map(b''.join, zip(permits, blocks, strict=False)))
            size = self.end()
            if not size or length_hint(permits):
                return
            count = max(1, min(2 * count, count * self.limit // size,
                               MOST_PERMITS))

    def flush(self) -> None:
        """Send what is kept; begin to gather if blocks have come quickly.

        Raise Disconnected when the client is gone.
        """
        size = self.end()
        if self.is_gathering:
            return
        now = time.monotonic()
        if size < self.limit and now - self._last < QUICK_S:
            self._quick += 1
            if self._quick >= QUICK_BLOCKS:
                self._quick = 0
                self.is_gathering = True
                self._flusher.watch(self)
        else:
            self._quick = 0
        self._last = now

    def end(self) -> int:
        """Send what is kept; return how many bytes; raise Disconnected."""
        self._size = 0
        blocks = self.blocks
        with self._lock:
            # Only this thread adds blocks.
            data = blocks[0] if len(blocks) == 1 else b''.join(blocks)
            blocks.clear()
            if data:
                self._send(data)
        return len(data)

    def tick(self) -> bool:
        """Send what is kept, for the flusher; return whether to go on.

        This never waits for the client.
        """
        if not self.blocks:
            self.is_gathering = False
            self._permits.clear()
            if not self.blocks:
                return False
            # It came in between, and its thread may not have seen that.
            self.is_gathering = True
        if self._lock.acquire(blocking=False):
            try:
                if self._is_sending():
                    # Its thread is to wait, rather than to gather on.
                    self._permits.clear()
                else:
                    # Blocks may be added meanwhile.
                    self._send_on(b''.join(
                        [self.blocks.popleft()
                         for _ in range(len(self.blocks))]))
            except Disconnected:
                # The application's thread is told so with its next block.
                self.blocks.clear()
            finally:
                self._lock.release()
        return True


class Flusher:
    """Sends what responses keep; its thread starts when it is needed."""

    def __init__(self) -> None:
        self._watched: deque[Gatherer] = deque()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def watch(self, gatherer: Gatherer) -> None:
        """Call its `tick` every TICK_S, as long as that returns true."""
        self._watched.append(gatherer)
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._is_closing:
                    self._thread = threading.Thread(
                        target=self._run, name='zope.server-flusher',
                        daemon=True)
                    self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        watched = self._watched
        while not self._is_closing:
            self._wanted.wait()
            self._wanted.clear()
            while watched and not self._is_closing:
                time.sleep(TICK_S)
                for _ in range(len(watched)):
                    gatherer = watched.popleft()
                    if self._tick(gatherer):
                        watched.append(gatherer)

    def _tick(self, gatherer: Gatherer) -> bool:
        try:
            return gatherer.tick()
        except BaseException:
            # As from a filter of logging; the thread serves all responses.
            with contextlib.suppress(BaseException):
                logger.exception('the flusher goes on: this must not happen')
            return False

    def close(self) -> None:
        """End the thread; may be repeated."""
        with self._lock:
            self._is_closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
