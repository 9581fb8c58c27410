"""Stretches of files that are on their way to a client."""
from __future__ import annotations

import os
import socket
import tempfile
from typing import IO

TURN = 2 ** 20


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
        size = min(self.left, TURN)
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
