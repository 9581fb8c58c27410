"""The ``wsgi.file_wrapper``: files that the operating system can send."""
from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import IO


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
