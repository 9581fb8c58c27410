"""The file of a log: written in pieces of text, and replaced by rotations."""
from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import sys
import threading

from zope.server.limitedlog import LimitedLog

logger = logging.getLogger('zope.server.accesslog')

# How many texts the system takes at once: UIO_MAXIOV of Linux.
IOV_MAX = 1024


class LogFile:
    """A file to which lines are added, or standard output for the path ``-``.

    A pipe needs a process that reads it.  OSError is raised if the file cannot
    be opened.  `lock` is held while the file is written or replaced.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._fd = -1 if path == '-' else self._open()
        # The last line in the file has no end yet.
        self._is_torn = False
        # The next text begins with the end of a line of another file.
        self._must_skip = False
        self._log = LimitedLog(
            logger.error, '%d further attempts to write the access log have'
            ' failed since the last line about one')

    def _open(self) -> int:
        # Without O_NONBLOCK this would wait for the reader of a pipe, fifo(7).
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
                     | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.set_blocking(fd, True)
        return fd

    def reopen(self) -> str | None:
        """Go on in a new file of the same name, after a rotation.

        Return why that fails, and go on in the old file; else None.
        """
        if self.path == '-':
            return None
        try:
            new = self._open()
        except OSError as error:
            problem = (f'the access log {self.path} cannot be opened again:'
                       f' {reason(error)}')
            logger.error('%s', problem)
            return problem
        with self.lock:
            old, self._fd = self._fd, new
            # It may be rotated again before anything is written.
            self._must_skip |= self._is_torn
            self._is_torn = False
        os.close(old)
        return None

    def write(self, texts: list[bytes]) -> list[bytes]:
        """Write texts, of whole lines; return what could not be written.

        That is to be written first, the next time.
        """
        if self.path == '-':
            self._print(b''.join(texts).decode())
            return []
        with self.lock:
            if self._fd < 0:
                return []
            if self._must_skip and texts:
                texts = [texts[0].partition(b'\n')[2], *texts[1:]]
                self._must_skip = False
            try:
                while texts:
                    # Joined, they would need as much fresh memory again.
                    size = os.writev(self._fd, texts[:IOV_MAX])
                    texts = self._after(texts, size)
            except OSError as error:
                problem = reason(error)
            else:
                return texts
        # Without the lock: a handler of the log may wait.
        self._log.add('the access log cannot be written: %s', problem)
        return texts

    def _after(self, texts: list[bytes], size: int) -> list[bytes]:
        """Return what is left once `size` bytes are written."""
        for index, text in enumerate(texts):
            if size < len(text):
                self._is_torn = size > 0 and text[size - 1:size] != b'\n'
                return [text[size:], *texts[index + 1:]]
            size -= len(text)
            if not size:
                self._is_torn = False
                return texts[index + 1:]
        return []

    def _print(self, text: str) -> None:
        try:
            # Python has none where its descriptor was closed.
            if sys.stdout is not None:
                sys.stdout.write(text)
                sys.stdout.flush()
        except (OSError, ValueError) as error:
            self._log.add('the access log cannot be written: %s', error)

    def close(self) -> None:
        """Close the file; may be repeated."""
        with self.lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def reason(error: OSError) -> str:
    """Return why a file cannot be opened or written."""
    if error.errno == errno.ENXIO and error.filename is not None:
        # As open(2) has it for both.
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.stat(error.filename).st_mode):
                return 'this is a socket; for standard output write "-"'
        return 'no process reads this pipe'
    return error.strerror or str(error)
