"""Request bodies: received in memory, above a size in a temporary file.

All memory that bodies take is counted: once the bodies of a server have taken
`Settings.body_memory`, further ones go to files, whatever their size.

A body is received by `LengthBody` or `ChunkedBody` into a `SpooledBody`, or
by `PreallocatedBody`, for which there may have to be memory first
(`PendingBody`).
"""
from __future__ import annotations

import io
import logging
import tempfile
import time
from typing import IO

from zope.server.buffers import BufferPool
from zope.server.buffers import BufferReader
from zope.server.chunked import ChunkedParser
from zope.server.errors import HTTPError
from zope.server.limitedlog import LimitedLog
from zope.server.settings import Settings

logger = logging.getLogger('zope.server')
unkept = LimitedLog(logger.error, '%d more request bodies could not be kept')

# A file is written in pieces of this size, whatever the pieces received.
PIECE_BYTES = 65536
# An application that reads a body in pieces gets this much at a time.
READ_BYTES = 65536
# A body that finds no room in memory waits this long, unread, before it goes
# to a file: mostly other bodies are complete sooner, and memory is faster.  It
# does not wait if no buffer was released for this long.
MAX_WAIT_S = 0.25
# It waits this long for a buffer that is about to be released.
REUSE_WAIT_S = 0.05


class SpooledBody:
    """Keeps a body that comes in pieces of any size; `size` is in bytes."""

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
        """Keep some data.

        Raise HTTPError when the body is too large, or the disk full.
        """
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
        """Go on in a file."""
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
        unkept.add('a request body of at least %d bytes cannot be kept: %s',
                   self.size, error)
        return HTTPError(503, 'The body cannot be stored.')

    def stream(self) -> IO[bytes]:
        """Return the whole body, as ``wsgi.input``.

        Its memory stays counted until `close`.  Raise HTTPError when the disk
        is full.
        """
        data, file = self._data, self._file
        if file is None:
            self._data = bytearray()
            return io.BytesIO(data)
        self._flush(file)
        file.seek(0)
        self._reader = reader = io.BufferedReader(file, READ_BYTES)
        return reader

    @property
    def is_in_file(self) -> bool:
        """Whether the body is in a file."""
        return self._file is not None

    def close(self) -> None:
        """Free the memory and delete the file; may be repeated."""
        self._forget()
        self._data = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = self._reader = None

    def _forget(self) -> None:
        """Count the memory as free."""
        self._pool.account(-self._held)
        self._held = 0


class PreallocatedBody:
    """Receives a body of known length in the buffer from which it is read.

    `size` and `missing` are the bytes that have come and that have not.  The
    buffer belongs to the pool, which gets it back.
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
        """Where the body is kept: here."""
        return self

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def space(self) -> memoryview:
        """Return the place for what is missing; `fill` is to follow."""
        return self._view[self.size:]

    def fill(self, count: int) -> None:
        """Note that `count` bytes were put into `space`."""
        self.size += count
        self.missing -= count

    def feed(self, data: bytes) -> int:
        """Take what `data` has of the body; return how many bytes."""
        count = min(len(data), self.missing)
        self.space()[:count] = data[:count]
        self.fill(count)
        return count

    def stream(self) -> IO[bytes]:
        """Return the whole body, as ``wsgi.input``, readable until `close`."""
        self._reader = BufferReader(self._view)
        return io.BufferedReader(self._reader, min(self.size, READ_BYTES))

    def close(self) -> None:
        """Release the buffer, which is used again; may be repeated."""
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            return
        if self._reader is not None:
            self._reader.close()
        self._view.release()
        self._pool.release(buffer)


class LengthBody:
    """Receives a body of known length into a `store`."""

    def __init__(self, length: int, store: SpooledBody) -> None:
        self.store = store
        self._missing = length
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """Take what `data` has of the body; return how many bytes."""
        if len(data) > self._missing:
            data = data[:self._missing]
        self.store.write(data)
        self._missing -= len(data)
        self.is_complete = not self._missing
        return len(data)


class ChunkedBody:
    """Receives a body in chunks (RFC 9112, 7.1) into a `store`."""

    def __init__(self, store: SpooledBody, settings: Settings) -> None:
        self.store = store
        self._parser = ChunkedParser(store.write, settings)
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """Take what `data` has of the body; return how many bytes."""
        taken = self._parser.feed(data)
        self.is_complete = self._parser.is_complete
        return taken


class PendingBody:
    """A body of known length that waits for memory.

    `rest` is the part of it that came with the head.
    """

    def __init__(self, length: int, rest: bytes, settings: Settings,
                 pool: BufferPool) -> None:
        self.rest = rest
        self._length = length
        self._settings = settings
        self._pool = pool
        self._began = time.monotonic()

    def place(self) -> PreallocatedBody | LengthBody | None:
        """Return what receives the body; None while it is to wait.

        It goes to a file once it has waited for MAX_WAIT_S, or when there is
        nothing to wait for.
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
    """There is no memory for `body` yet, which is to wait."""

    def __init__(self, body: PendingBody) -> None:
        super().__init__(body)
        self.body = body
