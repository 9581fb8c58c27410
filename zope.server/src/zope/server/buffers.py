"""The memory of request bodies: counted, and used again.

Memory that is fresh from the operating system costs a page fault for each
4 KiB of it, which takes longer than receiving what is to be put there.  So
the blocks in which bodies were received are kept for the next ones, and are
let go of once they have not been wanted for a while.
"""
from __future__ import annotations

import io
import threading
import time
from collections import defaultdict

# While blocks of a size come and go faster than that, who finds so much memory
# taken had better wait for one that was in use before: one after the other,
# bodies are all complete sooner than side by side in memory that is fresh.
LULL = 0.005
SIDE_BY_SIDE = 4 * 2 ** 20


class Memory:
    """What the bodies of a server have taken, in bytes; for any thread.

    `moved_at` is when a block was given back last, by time.monotonic().
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.spare = 0
        self.moved_at = time.monotonic()
        self._lock = threading.Lock()
        self._shelves: defaultdict[int, Shelf] = defaultdict(Shelf)

    @property
    def is_full(self) -> bool:
        """Whether more is taken than there should be."""
        return self.used > self.limit

    def take(self, size: int) -> None:
        """Count memory that was taken, or given back when it is negative."""
        with self._lock:
            self.used += size

    def block(self, length: int) -> bytearray | None:
        """At least so many bytes, whatever is in them; None: no room.

        For more than `limit` there never is.
        """
        size = self._size(length)
        with self._lock:
            if self.used + size > self.limit:
                return None
            self.used += size
            shelf = self._shelf(size)
            if shelf.blocks:
                self.spare -= size
                return shelf.pop()
            self._make_room()
        try:
            return bytearray(size)
        except MemoryError:
            self.take(-size)
            return None

    def is_lively(self, length: int, now: float) -> bool:
        """Whether a block for that had better be waited for; see LULL."""
        size = self._size(length)
        with self._lock:
            shelf = self._shelves.get(size)
            return (self.used + size > SIDE_BY_SIDE and shelf is not None
                    and not shelf.blocks and now < shelf.touched_at + LULL)

    def _size(self, length: int) -> int:
        size = 1 << (length - 1).bit_length()
        return length if size > self.limit else size

    def _shelf(self, size: int) -> Shelf:
        """That of a size, where something is about to change."""
        shelf = self._shelves[size]
        shelf.touched_at = time.monotonic()
        return shelf

    def _make_room(self) -> None:
        """Drop blocks of other sizes, so that all stays within the limit."""
        for size, shelf in self._shelves.items():
            while shelf.blocks and self.used + self.spare > self.limit:
                shelf.pop()
                self.spare -= size

    def give_back(self, block: bytearray) -> None:
        """Take a block back, of which nobody knows any more."""
        size = len(block)
        with self._lock:
            shelf = self._shelf(size)
            self.moved_at = shelf.touched_at
            self.used -= size
            if self.used + self.spare + size <= self.limit:
                self.spare += size
                shelf.blocks.append(block)

    def tidy(self) -> None:
        """Let go of the blocks that nobody has wanted since the last time."""
        with self._lock:
            for size, shelf in list(self._shelves.items()):
                self.spare -= size * shelf.tidy()
                if not shelf.blocks:
                    del self._shelves[size]


class Shelf:
    """Blocks of one size."""

    def __init__(self) -> None:
        self.blocks: list[bytearray] = []
        # When one was taken or given back last.
        self.touched_at = 0.0
        # So many have lain there all the time.
        self._idle = 0

    def pop(self) -> bytearray:
        """The block that was used last."""
        block = self.blocks.pop()
        self._idle = min(self._idle, len(self.blocks))
        return block

    def tidy(self) -> int:
        """Drop what has lain there all the time; how many these were."""
        dropped = self._idle
        del self.blocks[:dropped]
        self._idle = len(self.blocks)
        return dropped


class BlockReader(io.RawIOBase):
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

    def readinto(self, buffer: memoryview) -> int:
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
