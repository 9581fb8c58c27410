"""Request bodies: received in memory, beyond a size in a file.

All memory that bodies use is counted: once a server's bodies have taken their
share, further ones go to files whatever their size.
"""
from __future__ import annotations

import io
import logging
import tempfile
import time
from typing import IO

from zope.server.buffers import BufferPool
from zope.server.buffers import BufferReader
from zope.server.errors import HTTPError
from zope.server.parser import ChunkedParser
from zope.server.settings import Settings

logger = logging.getLogger('zope.server')

# A file is written in pieces of that size, whatever those are that come.
PIECE_BYTES = 65536

# An application that reads a body in pieces is handed so much at a time.
READ_BYTES = 65536

# A body that finds no room in memory waits so long for some, unread, before it
# goes to a file: mostly others are complete sooner, and memory is faster.  It
# does not wait where nobody has given any back for so long.
MAX_WAIT_S = 0.25
# So long for a buffer that others are about to give back.
REUSE_WAIT_S = 0.05


def empty() -> IO[bytes]:
    """The ``wsgi.input`` of a request without a body."""
    return io.BytesIO()


class SpooledBody:
    """Where the data of a body goes, in whatever pieces it comes."""

    def __init__(self, settings: Settings, pool: BufferPool) -> None:
        self.size = 0
        self._settings = settings
        self._pool = pool
        # What is not in the file.
        self._data = bytearray()
        self._held = 0
        self._file: io.FileIO | None = None
        self._reader: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Keep some data; HTTPError when it is too much, or has no place."""
        size = len(data)
        self.size += size
        if self.size > self._settings.max_request_body_size:
            raise HTTPError(413, 'The body is too large.')
        self._data += data
        if self._file is not None:
            if len(self._data) >= PIECE_BYTES:
                self._flush(self._file)
            return
        self._held += size
        self._pool.account(size)
        if (self.size > self._settings.body_spool_size
                or self._pool.is_full):
            self._spill()

    def _spill(self) -> None:
        try:
            self._file = file = tempfile.TemporaryFile(buffering=0)
        except OSError as error:
            raise self._no_place(error) from None
        self._forget()
        self._flush(file)

    def _flush(self, file: io.FileIO) -> None:
        try:
            with memoryview(self._data) as view:
                done = 0
                while done < len(view):
                    done += file.write(view[done:])
        except OSError as error:
            raise self._no_place(error) from None
        self._data = bytearray()

    def _no_place(self, error: OSError) -> HTTPError:
        logger.error('a request body of at least %d bytes cannot be kept: %s',
                     self.size, error)
        return HTTPError(503, 'The body cannot be stored.')

    def stream(self) -> IO[bytes]:
        """The whole body, as ``wsgi.input``; its memory stays counted.

        HTTPError when the end of it has no place.
        """
        data, file = self._data, self._file
        if file is None:
            self._data = bytearray()
            return io.BytesIO(data)
        self._flush(file)
        file.seek(0)
        self._reader = found = io.BufferedReader(file, READ_BYTES)
        return found

    @property
    def is_in_file(self) -> bool:
        """Whether it is, or most of it."""
        return self._file is not None

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        self._data = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = self._reader = None

    def _forget(self) -> None:
        """What is held is not held in memory any more."""
        self._pool.account(-self._held)
        self._held = 0


class PreallocatedBody:
    """A body of known length, received in the place where it is read.

    It is its own store.  The block is the memory's, and goes back there.
    """

    def __init__(self, length: int, pool: BufferPool,
                 buffer: bytearray) -> None:
        self.size = 0
        self.missing = length
        self._pool = pool
        self._buffer: bytearray | None = buffer
        self._view = memoryview(buffer)[:length]
        self._reader: BufferReader | None = None

    @property
    def store(self) -> PreallocatedBody:
        """Where the body is kept."""
        return self

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def space(self) -> memoryview:
        """Where what is missing is to be put."""
        return self._view[self.size:]

    def fill(self, count: int) -> None:
        """So much has been put there."""
        self.size += count
        self.missing -= count

    def feed(self, data: bytes) -> int:
        """Take what belongs to the body; how much of `data` that was."""
        count = min(len(data), self.missing)
        self.space()[:count] = data[:count]
        self.fill(count)
        return count

    def stream(self) -> IO[bytes]:
        """The whole body, as ``wsgi.input``, until `close`."""
        self._reader = BufferReader(self._view)
        return io.BufferedReader(self._reader, min(self.size, READ_BYTES))

    def close(self) -> None:
        """Let go of the body: its block is used again."""
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            return
        if self._reader is not None:
            self._reader.close()
        self._view.release()
        self._pool.release(buffer)


class LengthBody:
    """A body of a length that is known."""

    def __init__(self, length: int, store: SpooledBody) -> None:
        self.store = store
        self._missing = length
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """Take what belongs to the body; how much of `data` that was."""
        if len(data) > self._missing:
            data = data[:self._missing]
        self.store.write(data)
        self._missing -= len(data)
        self.is_complete = not self._missing
        return len(data)


class ChunkedBody:
    """A body in chunks."""

    def __init__(self, store: SpooledBody, settings: Settings) -> None:
        self.store = store
        self._parser = ChunkedParser(store.write, settings)
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """Take what belongs to the body; how much of `data` that was."""
        taken = self._parser.feed(data)
        self.is_complete = self._parser.is_complete
        return taken


class PendingBody:
    """A body of known length that waits for memory.

    `rest` is what has come of it behind the head.
    """

    def __init__(self, length: int, rest: bytes, settings: Settings,
                 pool: BufferPool) -> None:
        self.rest = rest
        self._length = length
        self._settings = settings
        self._pool = pool
        self._began = time.monotonic()

    def place(self) -> PreallocatedBody | LengthBody | None:
        """The body, to be received; None while it is to wait.

        It goes to a file when it has waited for long enough, or would do so
        for nothing.
        """
        pool, length = self._pool, self._length
        now = time.monotonic()
        if now < REUSE_WAIT_S + self._began and pool.should_wait(length, now):
            return None
        buffer = pool.acquire(length)
        if buffer is not None:
            return PreallocatedBody(length, pool, buffer)
        if now < MAX_WAIT_S + min(self._began, pool.last_release):
            return None
        return LengthBody(length, SpooledBody(self._settings, pool))


class MustWait(Exception):
    """There is no memory for a body yet: `body` waits for some."""

    def __init__(self, body: PendingBody) -> None:
        super().__init__(body)
        self.body = body
