"""The access log: the combined format, followed by the time taken.

A request only leaves the parts of its line in memory.  BATCH_LINES or more
are made into text at once, with the loop's next turn: that is less than a
thread of the log, which writes them, would need later, when they have left
the processor's cache.
"""
from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable
from time import monotonic
from typing import Any
from typing import Protocol

from zope.server.headers import MONTHS
from zope.server.logfile import LogFile

logger = logging.getLogger('zope.server.accesslog')

# Between two writes.
INTERVAL_S = 0.1
# Between two lines of the log about lines that were dropped.
REPORT_S = 10.0
# The longest wait for a write when the log is closed: the process that is to
# read a pipe may hang.
CLOSE_S = 5.0
# Further lines are dropped, rather than kept in memory for a disk that is too
# slow.  This is checked when lines are made into text.
MAX_LINES = 200_000
# Where there are more, they are made into text.  With 64, or 700, a line takes
# 0.1 us more.
BATCH_LINES = 300
# The part of a line for clients that send neither Referer nor User-Agent.
UNSAID = ' "-" "-" '
# Parts of a line that are ready, as formatting numbers takes time: the status
# with the quotation mark before it; the size of the body with UNSAID; and the
# microseconds.
CODES = [f'" {code} ' for code in range(1000)]
SIZES = [f'{size or "-"}{UNSAID}' for size in range(1000)]
MICROSECONDS = [f'{count}\n' for count in range(1000)]
# How many parts a line has: its beginning, the request line, CODE, SIZE and
# TAKEN.  Until they are text, CODE is the status, SIZE that of the body, or a
# tuple (size, referer, user agent), and TAKEN the time in microseconds, or a
# tuple of that and the address of the connection.
PARTS = 5
LINE, CODE, SIZE, TAKEN = 1, 2, 3, 4
# The line of a request that takes no longer has the time of its end, which is
# the same second or the next.
SHORT_US = 5000.0
truncated = float.__trunc__


class Answered(Protocol):
    """What the log reads of a request that was answered.

    `began` is as of time.monotonic(); `sent` is the size of the response's
    body in bytes.
    """

    environ: dict[str, Any]
    began: float
    line: str
    code: int
    sent: int

    @property
    def peer(self) -> str:
        """The address of the connection, whatever is in `environ`."""


class AccessLog:
    """A log in a file, or on standard output for the path ``-``.

    A line is ``ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER"
    "USER-AGENT" MICROSECONDS``, and with `shows_peer` the address of the
    connection follows, which is a proxy's where ADDRESS is its client's.
    OSError is raised if the file cannot be opened.

    `max_lines` at most are kept in memory, while the file cannot be written
    or is too slow; `dropped` counts the rest, until the log says so.
    """

    def __init__(self, path: str, shows_peer: bool = False) -> None:
        self.file = LogFile(path)
        self.shows_peer = shows_peer
        # PARTS of each line.  What `+=` adds stays together.
        self._parts: list[Any] = []
        # Guards `_texts` and `_made`, how many lines these are, with those
        # that are being written, and is held by the one thread that takes
        # from `_parts`.
        self._making = threading.Lock()
        self._texts: list[bytes] = []
        self._made = 0
        self.dropped = 0
        self._report_at = 0.0
        self.max_lines = MAX_LINES
        self._wanted = threading.Event()
        self._is_awake = False
        self._is_closing = threading.Event()
        self._stamp = Stamp(int(time.time()))
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread = threading.Thread(
            target=self._run, name='access-log', daemon=True)
        self._thread.start()

    @property
    def lines(self) -> int:
        """How many lines are still to be written."""
        return self._made + len(self._parts) // PARTS

    def tick(self, second: int) -> None:
        """Note the time, as of time.time(): for each turn of the loop.

        If many lines have come since, make them into text.
        """
        if second != self._stamp.second:
            self._stamp = Stamp(second)
        if (len(self._parts) > BATCH_LINES * PARTS
                and self._making.acquire(blocking=False)):
            try:
                self._make()
            finally:
                self._making.release()

    def add(self, task: Answered, ended: float) -> None:
        """Add the line of a request that was answered.

        `ended` is as of time.monotonic().
        """
        environ = task.environ
        size: Any = task.sent
        taken: Any = (ended - task.began) * 1e6
        try:
            if 'HTTP_USER_AGENT' in environ or 'HTTP_REFERER' in environ:
                size = (size, environ.get('HTTP_REFERER', '-'),
                        environ.get('HTTP_USER_AGENT', '-'))
            begin = self._stamp.begins[environ['REMOTE_ADDR']]
            if taken > SHORT_US or 'REMOTE_USER' in environ:
                begin = self._begin(task, taken)
        except (KeyError, TypeError):
            # It is the first line of that client in this second, or the
            # application has put there what does not belong there.
            begin = self._begin(task, taken)
        if self.shows_peer:
            taken = taken, task.peer
        parts = self._parts
        parts += (begin, task.line, task.code, size, taken)
        # In this order: the thread may just have looked at `_parts`.
        if not self._is_awake:
            self.wake()

    def _begin(self, task: Answered, taken: float) -> str:
        """Return a line up to the quotation mark before the request.

        `taken` is in microseconds.
        """
        stamp = self._stamp
        if taken > SHORT_US:
            second = int(time.time() - (monotonic() - task.began))
            if second != stamp.second:
                stamp = Stamp(second)
        environ = task.environ
        try:
            return stamp.begin(environ['REMOTE_ADDR'],
                               environ.get('REMOTE_USER'))
        except (KeyError, TypeError):
            return stamp.begin(task.peer)

    def _make(self) -> None:
        """Make text of the lines that have come, while `_making` is held."""
        # Other threads add lines meanwhile.
        count = len(self._parts)
        parts = self._parts[:count]
        del self._parts[:count]
        room = max(0, self.max_lines - self._made)
        if count > room * PARTS:
            self.dropped += count // PARTS - room
            del parts[room * PARTS:]
        if not parts:
            return
        requests = parts[LINE::PARTS]
        text = ''.join(requests)
        # All else was looked at when they came.
        if '"' in text or '\\' in text:
            parts[LINE::PARTS] = map(escaped, requests)
        parts[CODE::PARTS] = [CODES[code] for code in parts[CODE::PARTS]]
        parts[SIZE::PARTS] = sizes(parts[SIZE::PARTS])
        parts[TAKEN::PARTS] = (
            [f'{int(taken)} {peer}\n' for taken, peer in parts[TAKEN::PARTS]]
            if self.shows_peer else microseconds(parts[TAKEN::PARTS]))
        self._made += len(requests)
        self._texts.append(as_bytes(''.join(parts)))

    def add_error(self, client: str, line: bytes, status: int, size: int,
                  peer: str = '-') -> None:
        """Add the line of a request that was answered with an error.

        `line` is its request line as far as it has come, and `size` is the
        body of the answer in bytes.  `peer` is the address of the connection.
        """
        begin = begin_line(client, None, log_time(int(time.time())))
        end = f' {peer}\n' if self.shows_peer else '\n'
        self.add_line(f'{begin}{escaped(line.decode("latin-1"))}" {status}'
                      f' {size or "-"}{UNSAID}0{end}')

    def add_line(self, line: str) -> None:
        """Add a line, which ends with its newline."""
        with self._making:
            self._make()
            if self._made < self.max_lines:
                self._made += 1
                self._texts.append(as_bytes(line))
            else:
                self.dropped += 1
        # In this order, as above.
        self.wake()

    def wake(self) -> None:
        """Have the lines written soon."""
        if not self._is_awake:
            self._is_awake = True
            self._wanted.set()

    def close(self) -> None:
        """Write the lines that are left and close; may be repeated.

        Where a write to a file does not end, give up after CLOSE_S.
        """
        self._is_closing.set()
        self._wanted.set()
        if self._thread is not None:
            # At its end, Python itself waits for standard output.
            self._thread.join(None if self.file.path == '-' else CLOSE_S)
            if self._thread.is_alive():
                logger.error('%d lines of the access log are lost: a write has'
                             ' not ended', self.lines)
                return
        lost = self._write()
        if lost:
            logger.error('%d lines of the access log are lost', lost)
        self.file.close()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self._is_closing.wait(INTERVAL_S)
            # In this order: a line that comes now wakes this thread again.
            self._is_awake = False
            if self._write():
                self.wake()

    def _write(self) -> int:
        """Write what is there; return how many lines are left."""
        with self._making:
            self._make()
            texts, self._texts = self._texts, []
            made = self._made
        texts = self.file.write(texts)
        left = sum(text.count(b'\n') for text in texts)
        with self._making:
            self._texts[:0] = texts
            self._made += left - made
        self._report()
        return left

    def _report(self) -> None:
        """Log how many lines were dropped, each REPORT_S and at the end."""
        now = monotonic()
        if now < self._report_at and not self._is_closing.is_set():
            return
        with self._making:
            dropped, self.dropped = self.dropped, 0
        if dropped:
            self._report_at = now + REPORT_S
            logger.error('the access log is too slow: %d lines were dropped',
                         dropped)


def as_bytes(text: str) -> bytes:
    """Return text as it is written."""
    return text.encode('ascii', 'backslashreplace')


class Stamp:
    """What the lines of the same second share.

    `second` is as of time.time().
    """

    def __init__(self, second: int) -> None:
        self.second = second
        self._moment = log_time(second)
        # By address: what `begin` has returned before for it alone.
        self.begins: dict[str, str] = {}

    def begin(self, address: str, user: str | None = None) -> str:
        """Return a line up to the quotation mark before the request.

        Raise TypeError for what is no text.
        """
        begin = begin_line(address, user, self._moment)
        if user is None:
            self.begins[address] = begin
        return begin


def begin_line(address: str, user: str | None, moment: str) -> str:
    """Return a line up to the quotation mark before the request.

    `moment` is from `log_time`.
    """
    # The application may have the address from a field of the request.
    return f'{one_word(address)} - {one_word(user or "")} [{moment}] "'


def sizes(found: list[Any]) -> list[str]:
    """Return the parts SIZE of lines as text."""
    try:
        return [SIZES[size] for size in found]
    except (IndexError, TypeError):
        # There are larger ones, or clients that say who they are.
        pass
    found = [size if type(size) is tuple else (size, '-', '-')
             for size in found]
    _, pages, agents = zip(*found, strict=True)
    try:
        is_safe = are_plain(pages) and are_plain(agents)
    except TypeError:
        is_safe = False
    if not is_safe:
        found = [*map(quoted, found)]
    return [f'{size or "-"} "{referer}" "{agent}" '
            for size, referer, agent in found]


def quoted(size: tuple[int, Any, Any]) -> tuple[int, str, str]:
    """Return a part SIZE with its texts as they can be in a line."""
    count, referer, agent = size
    try:
        return count, escaped(referer), escaped(agent)
    except TypeError:
        # The application has put there what does not belong there.
        return count, '-', '-'


def microseconds(found: list[float]) -> list[str]:
    """Return the parts TAKEN of lines as text."""
    return [MICROSECONDS[count] if count < 1000 else f'{count}\n'
            for count in map(truncated, found)]


# Text that can stand between quotation marks as it is.
is_plain = re.compile(r'[ !#-\[\]-~]*').fullmatch


# The bytes of such text.
PLAIN = bytes(code for code in range(0x20, 0x7f) if code not in b'"\\')


def are_plain(texts: Iterable[str]) -> bool:
    """Return whether `is_plain` is true of each of these."""
    text = ''.join(texts)
    return text.isascii() and not text.encode().translate(None, PLAIN)


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
