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
from operator import concat
from operator import length_hint
from typing import cast

from zope.server.errors import Disconnected

logger = logging.getLogger('zope.server')

# Small responses must not wake the flusher, and bursts of events not wait.
QUICK_BLOCKS = 16
QUICK_S = 0.001
TICK_S = 0.001
# So much is sent together.
GATHERED_BYTES = 32768
# How many blocks are taken at once, at first and at most.
FIRST_PERMITS = 64
MOST_PERMITS = 256

# Called with a permit, which is empty, and a block.  A buffer, which can still
# change, is copied; bytes are not.
as_bytes = cast(Callable[[bytes, bytes], bytes], concat)


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
        # It is held to take something from `_packed` or `blocks`.
        self._lock = threading.Lock()
        # What `take` has joined of `blocks`, before those that are there.
        self._packed: list[bytes] = []
        self._permits: list[bytes] = []
        # Of what is kept, or more, in bytes: the flusher does not count.
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
        list ends with the list, and `map` then takes no block.  Raise
        Disconnected, and TypeError for a block that is no bytes.
        """
        count = FIRST_PERMITS
        while self.is_gathering:
            self._permits = [b''] * count
            if not self.is_gathering:
                # The flusher may have seen the former permits only.
                break
            permits = iter(self._permits)
            self.blocks.extend(map(as_bytes, permits, blocks))
            size = self._pack()
            if not size or length_hint(permits):
                break
            count = max(1, min(2 * count, count * self.limit // size,
                               MOST_PERMITS))
        self.end()

    def _pack(self) -> int:
        """Join the blocks; send what is kept once that is `limit` bytes.

        Return the size of the blocks, without those that the flusher has
        sent; raise Disconnected.
        """
        with self._lock:
            data = b''.join(self.blocks)
            # In this order: the flusher sees that something is kept.
            self._packed.append(data)
            self.blocks.clear()
        self._size += len(data)
        if self._size >= self.limit:
            self.end()
        return len(data)

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
        with self._lock:
            # Only this thread adds blocks.
            data = self._taken(len(self.blocks))
            if data:
                self._send(data)
        return len(data)

    def _taken(self, count: int) -> bytes:
        """Take what is packed, and `count` blocks; `_lock` is held."""
        blocks, packed = self.blocks, self._packed
        if packed:
            packed += [blocks.popleft() for _ in range(count)]
            data = b''.join(packed)
            packed.clear()
            return data
        if count == 1:
            return blocks.popleft()
        return b''.join([blocks.popleft() for _ in range(count)])

    def drop(self) -> None:
        """Drop what is kept."""
        with self._lock:
            self._packed.clear()
            self.blocks.clear()

    def tick(self) -> bool:
        """Send what is kept, for the flusher; return whether to go on.

        This never waits for the client.
        """
        if not self.blocks and not self._packed:
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
                    self._send_on(self._taken(len(self.blocks)))
            except Disconnected:
                # The application's thread is told so with its next block.
                self._packed.clear()
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
