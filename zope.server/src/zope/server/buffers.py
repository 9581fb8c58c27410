"""The memory of request bodies: counted, and used again.

BufferPool that is fresh from the operating system costs a page fault for each
4 KiB of it, which takes longer than receiving what is to be put there.  So
the blocks in which bodies were received are kept for the next ones, and are
let go of once they have not been wanted for a while.
"""
from __future__ import annotations

import io
import threading
import time
from collections import defaultdict
from typing import Any

# While blocks of a size come and go faster than that, who finds so much memory
# taken had better wait for one that was in use before: one after the other,
# bodies are all complete sooner than side by side in memory that is fresh.
REUSE_WINDOW_S = 0.005
SIDE_BY_SIDE_BYTES = 4 * 2 ** 20


class BufferPool:
    """What the bodies of a server have taken, in bytes; for any thread.

    `last_release` is when a block was given back last, by time.monotonic().
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.spare = 0
        self.last_release = time.monotonic()
        self._lock = threading.Lock()
        self.free_lists: defaultdict[int, FreeList] = defaultdict(FreeList)

    @property
    def is_full(self) -> bool:
        """Whether more is taken than there should be."""
        return self.used > self.limit

    def account(self, size: int) -> None:
        """Count memory that was taken, or given back when it is negative."""
        with self._lock:
            self.used += size

    def acquire(self, length: int) -> bytearray | None:
        """At least so many bytes, whatever is in them; None: no room.

        For more than `limit` there never is.
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
        """Whether a block had better be waited for; see REUSE_WINDOW_S."""
        size = self._size(length)
        with self._lock:
            free_list = self.free_lists.get(size)
            return (self.used + size > SIDE_BY_SIDE_BYTES
                    and free_list is not None and not free_list.buffers
                    and now < free_list.last_use + REUSE_WINDOW_S)

    def _size(self, length: int) -> int:
        size = 1 << (length - 1).bit_length()
        return length if size > self.limit else size

    def _free_list(self, size: int) -> FreeList:
        """That of a size, where something is about to change."""
        free_list = self.free_lists[size]
        free_list.last_use = time.monotonic()
        return free_list

    def _make_room(self) -> None:
        """Drop blocks of other sizes, so that all stays within the limit."""
        for size, free_list in self.free_lists.items():
            while free_list.buffers and self.used + self.spare > self.limit:
                free_list.pop()
                self.spare -= size

    def release(self, buffer: bytearray) -> None:
        """Take a block back, of which nobody knows any more."""
        size = len(buffer)
        with self._lock:
            free_list = self._free_list(size)
            self.last_release = free_list.last_use
            self.used -= size
            if self.used + self.spare + size <= self.limit:
                self.spare += size
                free_list.buffers.append(buffer)

    def trim(self) -> None:
        """Let go of the blocks that nobody has wanted since the last time."""
        with self._lock:
            for size, free_list in list(self.free_lists.items()):
                self.spare -= size * free_list.trim()
                if not free_list.buffers:
                    del self.free_lists[size]


class FreeList:
    """Blocks of one size."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []
        # When one was taken or given back last.
        self.last_use = 0.0
        # So many have lain there all the time.
        self._idle = 0

    def pop(self) -> bytearray:
        """The block that was used last."""
        buffer = self.buffers.pop()
        self._idle = min(self._idle, len(self.buffers))
        return buffer

    def trim(self) -> int:
        """Drop what has lain there all the time; how many these were."""
        dropped = self._idle
        del self.buffers[:dropped]
        self._idle = len(self.buffers)
        return dropped


class BufferReader(io.RawIOBase):
    """Reads a block, until it is closed; then the block is another's."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, too."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy what fits; how much that was."""
        begin = self._position
        found = self._view[begin:begin + len(buffer)]
        size = len(found)
        buffer[:size] = found
        self._position = begin + size
        return size

    def readall(self) -> bytes:
        """All that is left."""
        found = bytes(self._view[self._position:])
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; where that is."""
        start = (0, self._position, len(self._view))[whence]
        if start + offset < 0:
            raise ValueError(f'negative seek position {start + offset}')
        self._position = start + offset
        return self._position

    def close(self) -> None:
        """Read no more."""
        self._view.release()
        super().close()
