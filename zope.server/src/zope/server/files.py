"""Files in responses: ``wsgi.file_wrapper``, and stretches to be sent."""
from __future__ import annotations

import io
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from typing import IO

# The most that is sent of a file in a row.
TURN_BYTES = 2 ** 20


class FileWrapper:
    """The ``wsgi.file_wrapper`` of PEP 3333: an iterable over a file.

    A plain file is sent by the kernel, see `stretch`; any other is read in
    pieces of `size` bytes.
    """

    def __init__(self, file: IO[bytes], size: int = 65536) -> None:
        self.file = file
        self.size = size
        if hasattr(file, 'close'):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := self.file.read(self.size):
            yield data

    def stretch(self) -> tuple[int, int] | None:
        """Return (offset, length) in bytes of what is left of a plain file.

        None if it is not plain.  Only the file objects that `open` makes can
        be: that of gzip, for example, has the descriptor of other data.
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
    """A stretch of a file to be sent: from `offset`, `left` bytes."""

    def __init__(self, file: IO[bytes], offset: int, left: int) -> None:
        self.file = file
        self.offset = offset
        self.left = left

    def send(self, sock: socket.socket) -> int:
        """Send some of it; return how many bytes, 0 at the file's end.

        Raise BlockingIOError when the socket takes none.  sendfile(2) is used
        where there is one.
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
        """Do nothing: the file is its owner's to close."""


class SpoolPart(FilePart):
    """A temporary file with what is too much to be kept in memory."""

    def __init__(self, data: memoryview) -> None:
        super().__init__(tempfile.TemporaryFile(buffering=0), 0, 0)
        try:
            self.append(data)
        except OSError:
            self.close()
            raise

    @property
    def end(self) -> int:
        """How long the file is, in bytes."""
        return self.offset + self.left

    def append(self, data: memoryview) -> None:
        """Append to the file; raise OSError when the disk is full."""
        written = os.pwrite(self.file.fileno(), data, self.end)
        while written < len(data):
            written += os.pwrite(self.file.fileno(), data[written:],
                                 self.end + written)
        self.left += written

    def close(self) -> None:
        """Close the file, which deletes it."""
        self.file.close()
