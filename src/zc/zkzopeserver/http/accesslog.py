"""The access log: the combined format, and the time taken at the end.

Requests only leave a record in memory; a thread of its own makes lines of
them and writes these, many at a time.
"""
from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver.http.response import MONTHS

if TYPE_CHECKING:
    from zc.zkzopeserver.http.task import Task

logger = logging.getLogger(__name__)

INTERVAL = 0.1
# More than that is dropped, rather than kept in memory for a disk that does
# not take it.
KEPT = 200_000


class AccessLog:
    """A log file, or standard output for ``-``; OSError if it cannot be.

    A line is ``ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER"
    "USER-AGENT" MICROSECONDS``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1 if path == '-' else self._open()
        self._records: deque[tuple[Any, ...]] = deque()
        self._dropped = 0
        self.kept = KEPT
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._is_awake = False
        self._is_closing = threading.Event()
        self._clock = Clock()
        self._thread: threading.Thread | None = None

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
                       | os.O_CLOEXEC, 0o666)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread = threading.Thread(
            target=self._run, name='access-log', daemon=True)
        self._thread.start()

    def add(self, task: Task) -> None:
        """A request has been answered."""
        environ = task.environ
        get = environ.get
        self._add((
            time.time(), time.monotonic() - task.began,
            environ['REMOTE_ADDR'], get('REMOTE_USER'),
            f'{task.method} {environ["REQUEST_URI"]}'
            f' HTTP/1.{task.minor}',
            task.code, task.sent,
            get('HTTP_REFERER'), get('HTTP_USER_AGENT')))

    def add_refusal(self, environ: dict[str, Any], line: bytes, status: int,
                    size: int) -> None:
        """A request has been refused; `line` is its first line, if any."""
        self._add((time.time(), 0.0, environ['REMOTE_ADDR'], None,
                   line.decode('latin-1'), status, size, None, None))

    def _add(self, record: tuple[Any, ...]) -> None:
        if len(self._records) < self.kept:
            self._records.append(record)
        else:
            self._dropped += 1
        if not self._is_awake:
            self._is_awake = True
            self._wanted.set()

    def reopen(self) -> None:
        """Go on in a new file of the same name: the old one was moved."""
        if self.path == '-':
            return
        try:
            new = self._open()
        except OSError as error:
            logger.error('the access log %s cannot be opened again: %s',
                         self.path, error.strerror)
            return
        with self._lock:
            old, self._fd = self._fd, new
        os.close(old)

    def close(self) -> None:
        """Write what is there and close; may be repeated."""
        self._is_closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._write()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self._is_closing.wait(INTERVAL)
            # In this order: a record that comes now wakes us again.
            self._is_awake = False
            self._write()

    def _write(self) -> None:
        lines = []
        while self._records:
            lines.append(self._line(*self._records.popleft()))
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.error('the access log is too slow: %d lines were dropped',
                         dropped)
        if lines:
            self._write_text(''.join(lines))

    def _write_text(self, text: str) -> None:
        try:
            if self.path == '-':
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            with self._lock:
                view = memoryview(text.encode('ascii'))
                while view and self._fd >= 0:
                    view = view[os.write(self._fd, view):]
        except (OSError, ValueError) as error:
            logger.error('the access log cannot be written: %s', error)

    def _line(self, when: float, took: float, address: str,
              user: str | None, request: str, status: int, size: int,
              referer: str | None, agent: str | None) -> str:
        user = user or '-'
        referer = referer or '-'
        agent = agent or '-'
        if not is_plain(f'{user}{request}{referer}{agent}'):
            user, request, referer, agent = map(
                escaped, (user, request, referer, agent))
            user = user.replace(' ', '\\x20')
        return (f'{address} - {user} [{self._clock.text(when - took)}]'
                f' "{request}" {status or "-"} {size or "-"} "{referer}"'
                f' "{agent}" {took * 1e6:.0f}\n')


def is_plain(text: str) -> bool:
    """Whether text can stand between quotation marks as it is."""
    return (text.isascii() and text.isprintable() and '"' not in text
            and '\\' not in text)


def escaped(text: str) -> str:
    """Text as it can stand between quotation marks.

    What comes from clients must not be able to end a field or a line.
    """
    if is_plain(text):
        return text
    return ''.join(
        f'\\{char}' if char in '"\\' else
        char if ' ' <= char <= '~' else
        f'\\x{ord(char):02x}' if ord(char) < 256 else f'\\u{ord(char):04x}'
        for char in text)


class Clock:
    """Local times as the log has them, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ''

    def text(self, when: float) -> str:
        """``10/Oct/2000:13:55:36 -0700``."""
        second = int(when)
        if second != self._second:
            self._second = second
            local = time.localtime(second)
            sign = '-' if local.tm_gmtoff < 0 else '+'
            hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
            self._text = (
                f'{local.tm_mday:02}/{MONTHS[local.tm_mon - 1]}/'
                f'{local.tm_year}:{local.tm_hour:02}:{local.tm_min:02}:'
                f'{local.tm_sec:02} {sign}{hours:02}{minutes:02}')
        return self._text
