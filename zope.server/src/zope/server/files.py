"""Files in responses: ``wsgi.file_wrapper``, and stretches to be sent."""
from __future__ import annotations

import io
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from typing import IO

TURN_BYTES = 2 ** 20


class FileWrapper:
    """An iterable over a file; a plain file is sent without reading it."""

    def __init__(self, file: IO[bytes], size: int = 65536) -> None:
        self.file = file
        self.size = size
        if hasattr(file, 'close'):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := self.file.read(self.size):
            yield data

    def stretch(self) -> tuple[int, int] | None:
        """(offset, length) of what is left of a plain file, else None.

        Only the file objects that `open` makes are taken for plain: others,
        such as gzip's, have the descriptor of something else.
        """
        raw = getattr(self.file, 'raw', self.file)
        if type(raw) is not io.FileIO or type(self.file) not in (
                io.BufferedReader, io.BufferedRandom, io.FileIO):
            return None
        try:
            found = os.fstat(raw.fileno())
            offset = self.file.tell()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return offset, max(0, found.st_size - offset)


class FilePart:
    """A stretch of a file that is to be sent."""

    def __init__(self, file: IO[bytes], offset: int, left: int) -> None:
        self.file = file
        self.offset = offset
        self.left = left

    def send(self, sock: socket.socket) -> int:
        """Send some of it, 0 when the file has become too short.

        BlockingIOError when the socket takes none.
        """
        size = min(self.left, TURN_BYTES)
        if hasattr(os, 'sendfile'):
            sent = os.sendfile(sock.fileno(), self.file.fileno(),
                               self.offset, size)
        else:
            data = os.pread(self.file.fileno(), size, self.offset)
            sent = sock.send(data) if data else 0
        self.offset += sent
        self.left -= sent
        return sent

    def close(self) -> None:
        """Nothing: the file is its owner's to close."""


class SpoolPart(FilePart):
    """A temporary file for what memory should not keep."""

    def __init__(self, data: memoryview) -> None:
        super().__init__(tempfile.TemporaryFile(buffering=0), 0, 0)
        try:
            self.append(data)
        except OSError:
            self.close()
            raise

    @property
    def end(self) -> int:
        """How long the file is."""
        return self.offset + self.left

    def append(self, data: memoryview) -> None:
        """Add to the end of the file."""
        written = os.pwrite(self.file.fileno(), data, self.end)
        while written < len(data):
            written += os.pwrite(self.file.fileno(), data[written:],
                                 self.end + written)
        self.left += written

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()
