"""A pool of buffers for request bodies, which counts all their memory.

Memory that is fresh from the operating system costs a page fault for each
4 KiB of it, which takes longer than receiving the data that goes there.  So
the buffers in which bodies were received are kept for the next bodies, and
are freed once they have not been used for a while.
"""
from __future__ import annotations

import io
import threading
import time
from collections import defaultdict
from typing import Any

# Where bodies have taken more than SIDE_BY_SIDE_BYTES, and a buffer of the
# right size was in use within REUSE_WINDOW_S, a body waits for a released
# one: bodies that are received in turn, in memory that was used before, are
# all complete sooner than bodies side by side in fresh memory.
REUSE_WINDOW_S = 0.005
SIDE_BY_SIDE_BYTES = 4 * 2 ** 20


class BufferPool:
    """Buffers for the bodies of a server; for any thread.

    `limit`, `used` and `spare` are bytes: what may be taken, what is taken,
    and what is kept to be used again.  `last_release` is when a buffer was
    released last, as of time.monotonic().  `free_lists` are by size.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.spare = 0
        self.last_release = time.monotonic()
        self.free_lists: defaultdict[int, FreeList] = defaultdict(FreeList)
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether more is taken than `limit`."""
        return self.used > self.limit

    def account(self, size: int) -> None:
        """Count `size` bytes from elsewhere as taken; freed if negative."""
        with self._lock:
            self.used += size

    def acquire(self, length: int) -> bytearray | None:
        """Return a buffer of at least `length` bytes, with any content.

        None when there is no room, as for more than `limit` there never is.
        """
        size = self._size(length)
        with self._lock:
            if self.used + size > self.limit:
                return None
            self.used += size
            free_list = self._free_list(size)
            if free_list.buffers:
                self.spare -= size
                return free_list.pop()
            self._make_room()
        try:
            return bytearray(size)
        except MemoryError:
            self.account(-size)
            return None

    def should_wait(self, length: int, now: float) -> bool:
        """Return whether to wait for a used buffer; see REUSE_WINDOW_S."""
        size = self._size(length)
        with self._lock:
            free_list = self.free_lists.get(size)
            return (self.used + size > SIDE_BY_SIDE_BYTES
                    and free_list is not None and not free_list.buffers
                    and now < free_list.last_use + REUSE_WINDOW_S)

    def _size(self, length: int) -> int:
        """Return the power of two for a length, or itself if too much."""
        size = 1 << (length - 1).bit_length()
        return length if size > self.limit else size

    def _free_list(self, size: int) -> FreeList:
        """Return the list of a size, of which something is about to change."""
        free_list = self.free_lists[size]
        free_list.last_use = time.monotonic()
        return free_list

    def _make_room(self) -> None:
        """Free buffers of other sizes, to stay within the limit."""
        for size, free_list in self.free_lists.items():
            while (free_list.buffers
                   and self.used + self.spare > self.limit):
                free_list.pop()
                self.spare -= size

    def release(self, buffer: bytearray) -> None:
        """Take a buffer back, to which there must be no reference left."""
        size = len(buffer)
        with self._lock:
            free_list = self._free_list(size)
            self.last_release = free_list.last_use
            self.used -= size
            if self.used + self.spare + size <= self.limit:
                self.spare += size
                free_list.buffers.append(buffer)

    def trim(self) -> None:
        """Free the buffers that were not used since the last call."""
        with self._lock:
            for size, free_list in list(self.free_lists.items()):
                self.spare -= size * free_list.trim()
                if not free_list.buffers:
                    del self.free_lists[size]


class FreeList:
    """Buffers of one size that are not in use.

    `last_use` is when a buffer was taken or returned last, as of
    time.monotonic().
    """

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []
        self.last_use = 0.0
        # This many were never used since the last `trim`.
        self._idle = 0

    def pop(self) -> bytearray:
        """Take the buffer that was used last."""
        buffer = self.buffers.pop()
        self._idle = min(self._idle, len(self.buffers))
        return buffer

    def trim(self) -> int:
        """Free what was not used since the last call; return how many."""
        dropped = self._idle
        del self.buffers[:dropped]
        self._idle = len(self.buffers)
        return dropped


class BufferReader(io.RawIOBase):
    """Reads a buffer until it is closed; then the buffer is used again."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy what fits into `buffer`; return how many bytes."""
        begin = self._position
        data = self._view[begin:begin + len(buffer)]
        size = len(data)
        buffer[:size] = data
        self._position = begin + size
        return size

    def readall(self) -> bytes:
        """Return all that is left."""
        data = bytes(self._view[self._position:])
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it; ValueError before the start."""
        start = (0, self._position, len(self._view))[whence]
        if start + offset < 0:
            raise ValueError(f'negative seek position {start + offset}')
        self._position = start + offset
        return self._position

    def close(self) -> None:
        """Release the buffer; reading raises ValueError from now on."""
        self._view.release()
        super().close()
