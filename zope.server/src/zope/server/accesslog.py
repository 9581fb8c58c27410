"""The access log: the combined format, followed by the time taken.

A request only leaves its line in memory.  A thread of the log writes the
lines, many at a time.
"""
from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from itertools import islice
from time import monotonic
from typing import Any
from typing import Protocol

from zope.server.headers import MONTHS

logger = logging.getLogger('zope.server.accesslog')

# Between two writes.
INTERVAL_S = 0.1
# Further lines are dropped, rather than kept in memory for a disk that is too
# slow.  This is checked once for all requests that began together.
MAX_LINES = 200_000
AGENTS_CACHED = 1000
# The part of a line after its target, by minor version and status, ready:
# formatting numbers takes time.
ANSWERS = [[f' HTTP/1.{minor}" {code} ' for code in range(1000)]
           for minor in range(2)]
# The part of a line for clients that send neither Referer nor User-Agent.
UNSAID = ' "-" "-" '


class Answered(Protocol):
    """What the log reads of a request that was answered.

    `began` is as of time.monotonic(); `sent` is the size of the response's
    body in bytes.
    """

    environ: dict[str, Any]
    began: float
    method: str
    target: str
    minor: int
    code: int
    sent: int

    @property
    def peer(self) -> str:
        """The address of the connection, whatever is in `environ`."""


class AccessLog:
    """A log file, or standard output for the path ``-``.

    A line is ``ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER"
    "USER-AGENT" MICROSECONDS``, and with `shows_peer` the address of the
    connection follows, which is a proxy's where ADDRESS is its client's.
    OSError is raised if the file cannot be opened.

    `lines` are still to be written, `max_lines` at most; `dropped` counts the
    rest.  `lock` is held while the file is written or replaced.
    """

    def __init__(self, path: str, shows_peer: bool = False) -> None:
        self.path = path
        self.shows_peer = shows_peer
        self._fd = -1 if path == '-' else self._open()
        self.lines: deque[str] = deque()
        self.dropped = 0
        self.max_lines = MAX_LINES
        self.lock = threading.Lock()
        self._wanted = threading.Event()
        self._is_awake = False
        self._is_closing = threading.Event()
        # From time.monotonic(), the clock of requests, to time.time().
        self._offset = time.time() - monotonic()
        self._stamp = Stamp(-1)
        self._agents: set[str] = set()
        self._thread: threading.Thread | None = None

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
                       | os.O_CLOEXEC, 0o666)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread = threading.Thread(
            target=self._run, name='access-log', daemon=True)
        self._thread.start()

    def add(self, task: Answered) -> None:
        """Add the line of a request that was answered."""
        environ, began = task.environ, task.began
        stamp = self._stamp
        if began != stamp.began:
            if not self._has_room():
                return
            stamp = self._stamp_at(began)
        try:
            address = environ['REMOTE_ADDR']
            if 'REMOTE_USER' in environ:
                begin = stamp.begin(address, environ['REMOTE_USER'])
            else:
                begin = stamp.begins.get(address) or stamp.begin(address)
            target = environ['REQUEST_URI']
            # As it came it is ASCII without blanks.
            if target is not task.target or '"' in target or '\\' in target:
                target = escaped(target)
            if 'HTTP_USER_AGENT' in environ or 'HTTP_REFERER' in environ:
                client = self._client(environ)
            else:
                client = UNSAID
        except (KeyError, TypeError):
            # The application has taken away what was there, or put in its
            # place what does not belong there.
            begin = stamp.begin(task.peer)
            target, client = escaped(task.target), UNSAID
        end = f' {task.peer}\n' if self.shows_peer else '\n'
        self.lines.append(
            f'{begin}{task.method} {target}'
            f'{ANSWERS[task.minor][task.code]}{task.sent or "-"}{client}'
            f'{int((monotonic() - began) * 1e6)}{end}')
        # In this order: the thread may just have looked at `lines`.
        if not self._is_awake:
            self.wake()

    def _stamp_at(self, began: float) -> Stamp:
        """Return the stamp for a request that began then."""
        stamp, second = self._stamp, int(began + self._offset)
        if second != stamp.second:
            stamp = self._stamp = Stamp(second)
        stamp.began = began
        return stamp

    def _has_room(self) -> bool:
        """Return whether a line can be kept; if not, count it."""
        if len(self.lines) < self.max_lines:
            return True
        self.dropped += 1
        self.wake()
        return False

    def _client(self, environ: dict[str, Any]) -> str:
        """Return the part of a line with Referer and User-Agent."""
        agent = referer = '-'
        if 'HTTP_USER_AGENT' in environ:
            agent = environ['HTTP_USER_AGENT']
            if agent not in self._agents:
                agent = self._agent(agent)
        if 'HTTP_REFERER' in environ:
            referer = escaped(environ['HTTP_REFERER'])
        return f' "{referer}" "{agent}" '

    def _agent(self, agent: str) -> str:
        """Return a user agent, quoted; remember it if it needs no quoting."""
        if is_plain(agent) and len(self._agents) < AGENTS_CACHED:
            self._agents.add(agent)
        return escaped(agent)

    def add_error(self, client: str, line: bytes, status: int, size: int,
                  peer: str = '-') -> None:
        """Add the line of a request that was answered with an error.

        `line` is its request line as far as it has come, and `size` is the
        body of the answer in bytes.  `peer` is the address of the connection.
        """
        begin = Stamp(int(time.time())).begin(client)
        end = f' {peer}\n' if self.shows_peer else '\n'
        self.add_line(f'{begin}{escaped(line.decode("latin-1"))}" {status}'
                      f' {size or "-"}{UNSAID}0{end}')

    def add_line(self, line: str) -> None:
        """Add a line, which ends with its newline."""
        if self._has_room():
            self.lines.append(line)
            # In this order, as above.
            self.wake()

    def wake(self) -> None:
        """Have the lines written soon."""
        if not self._is_awake:
            self._is_awake = True
            self._wanted.set()

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
                       f' {error.strerror}')
            logger.error('%s', problem)
            return problem
        with self.lock:
            old, self._fd = self._fd, new
        os.close(old)
        return None

    def close(self) -> None:
        """Write the lines that are left and close; may be repeated."""
        self._is_closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._write()
        with self.lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self._is_closing.wait(INTERVAL_S)
            # In this order: a line that comes now wakes this thread again.
            self._is_awake = False
            self._write()

    def _write(self) -> None:
        lines = self.lines
        while count := len(lines):
            # Other threads add lines meanwhile.
            found = islice(iter(lines.popleft, None), count)
            self._write_text(''.join(found))
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            logger.error('the access log is too slow: %d lines were dropped',
                         dropped)
        self._offset = time.time() - monotonic()

    def _write_text(self, text: str) -> None:
        try:
            if self.path == '-':
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            with self.lock:
                view = memoryview(
                    text.encode('ascii', 'backslashreplace'))
                while view and self._fd >= 0:
                    view = view[os.write(self._fd, view):]
        except (OSError, ValueError) as error:
            logger.error('the access log cannot be written: %s', error)


class Stamp:
    """Begins the lines of all requests that began in the same second."""

    def __init__(self, second: int) -> None:
        self.second = second
        self._text = log_time(second)
        # When the last request of it began.  More may have begun in the same
        # turn of the loop, and so at the same time.
        self.began = -1.0
        # By address, for clients without a user.
        self.begins: dict[str, str] = {}

    def begin(self, address: str, user: str | None = None) -> str:
        """Return a line up to the quotation mark before the request."""
        # The application may have the address from a field of the request.
        begin = (f'{one_word(address)} - {one_word(user or "")}'
                 f' [{self._text}] "')
        if not user:
            self.begins[address] = begin
        return begin


# Text that can stand between quotation marks as it is.
is_plain = re.compile(r'[ !#-\[\]-~]*').fullmatch


def escaped(text: str) -> str:
    """Return text as it can stand between quotation marks.

    Data of a client must not be able to end a field or a line.
    """
    if is_plain(text):
        return text
    return ''.join(
        f'\\{char}' if char in '"\\' else
        char if ' ' <= char <= '~' else
        f'\\x{ord(char):02x}' if ord(char) < 256 else f'\\u{ord(char):04x}'
        for char in text)


def one_word(text: str) -> str:
    """Return text as it can stand between blanks; ``-`` for none."""
    return escaped(text).replace(' ', '\\x20') or '-'


def log_time(second: int) -> str:
    """Return a local time, such as ``10/Oct/2000:13:55:36 -0700``.

    `second` is as of time.time().
    """
    local = time.localtime(second)
    sign = '-' if local.tm_gmtoff < 0 else '+'
    hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
    return (f'{local.tm_mday:02}/{MONTHS[local.tm_mon - 1]}/{local.tm_year}:'
            f'{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02}'
            f' {sign}{hours:02}{minutes:02}')
