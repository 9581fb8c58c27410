"""Request bodies: received in memory, beyond a size in a file.

All memory that bodies use is counted: once a server's bodies have taken their
share, further ones go to files whatever their size.
"""
from __future__ import annotations

import io
import logging
import tempfile
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
READ = 65536


def empty() -> IO[bytes]:
    """The ``wsgi.input`` of a request without a body."""
    return io.BytesIO()


class SpooledBody:
    """Where the data of a body goes, in whatever pieces it comes."""

    def __init__(self, settings: Settings, memory: BufferPool) -> None:
        self.size = 0
        self._settings = settings
        self._memory = memory
        # What is not in the file.
        self._data = bytearray()
        self._held = 0
        self._file: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Keep some data; HTTPError when it is too much, or has no place."""
        size = len(data)
        self.size += size
        if self.size > self._settings.max_request_body_size:
            raise HTTPError(413, 'The body is too large.')
        self._data += data
        if self._file is not None:
            if len(self._data) >= PIECE_BYTES:
                self._flush()
            return
        self._held += size
        self._memory.take(size)
        if (self.size > self._settings.body_spool_size
                or self._memory.is_full):
            self._spill()

    def _spill(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)
        except OSError as error:
            raise self._no_place(error) from None
        self._forget()
        self._flush()

    def _flush(self) -> None:
        try:
            with memoryview(self._data) as view:
                done = 0
                while done < len(view):
                    done += self._file.write(view[done:])
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
        data = self._data
        if self._file is None:
            self._data = bytearray()
            return io.BytesIO(data)
        self._flush()
        self._file.seek(0)
        self._file = io.BufferedReader(self._file, READ)
        return self._file

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        self._data = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _forget(self) -> None:
        """What is held is not held in memory any more."""
        self._memory.take(-self._held)
        self._held = 0


class PreallocatedBody:
    """A body of known length, received in the place where it is read.

    It is its own store.  The block is the memory's, and goes back there.
    """

    def __init__(self, length: int, memory: BufferPool,
                 block: bytearray) -> None:
        self.size = 0
        self.missing = length
        self._memory = memory
        self._block: bytearray | None = block
        self._view = memoryview(block)[:length]
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

    def stream(self) -> IO[bytes]:
        """The whole body, as ``wsgi.input``, until `close`."""
        self._reader = BufferReader(self._view)
        return io.BufferedReader(self._reader, min(self.size, READ))

    def close(self) -> None:
        """Let go of the body: its block is used again."""
        block, self._block = self._block, None
        if block is None:
            return
        if self._reader is not None:
            self._reader.close()
        self._view.release()
        self._memory.release(block)


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
