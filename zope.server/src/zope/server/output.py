"""What is on its way to a client.

Data goes straight to the socket.  What the socket does not take is kept: in
memory at first, then in a temporary file, and at last the application's
thread waits.  Whoever polls sends on meanwhile.
"""
from __future__ import annotations

import fcntl
import logging
import socket
import struct
import termios
import threading
import time
from collections import deque
from typing import IO

from zope.server.errors import Disconnected
from zope.server.files import TURN
from zope.server.files import FilePart
from zope.server.files import SpoolPart
from zope.server.rate import Pace
from zope.server.settings import Settings

logger = logging.getLogger('zope.server')

# How often a thread that waits looks whether the client still reads.
LOOK = 1.0
INT = struct.Struct('i')
# Who reads slowly acknowledges in lumps, each time its buffer has room again.
LUMP = 128 * 2 ** 10


class Output:
    """The sending side of a connection.

    `send`, `send_pair`, `send_file` and `wait` are for the one thread that
    answers a request; `advance` is for whoever polls.  `parts` is what is
    kept.
    """

    __slots__ = ('_sock', '_settings', 'parts', '_size', '_sent', '_pace',
                 '_lock', '_gate', 'is_broken')

    def __init__(self, sock: socket.socket, settings: Settings) -> None:
        self._sock = sock
        self._settings = settings
        self.parts: deque[memoryview | FilePart] = deque()
        self._size = 0
        # Of what was kept.
        self._sent = 0
        self._pace = Pace(LUMP)
        self._lock = threading.Lock()
        self._gate: threading.Lock | None = None
        self.is_broken = False

    def send(self, data: bytes) -> None:
        """Send, or keep; Disconnected when there is nobody to send to."""
        self._check()
        sent = 0
        if not self.parts:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self._fail(error)
            if sent == len(data):
                return
        self._keep(memoryview(data)[sent:])

    def send_pair(self, head: bytes, data: bytes) -> None:
        """Send two pieces without joining them."""
        self._check()
        sent = 0
        if not self.parts:
            try:
                sent = self._sock.sendmsg((head, data))
            except BlockingIOError:
                pass
            except OSError as error:
                self._fail(error)
        if sent < len(head):
            self._keep(memoryview(head)[sent:])
            sent = len(head)
        if sent < len(head) + len(data):
            self._keep(memoryview(data)[sent - len(head):])

    def send_file(self, file: IO[bytes], offset: int, length: int) -> None:
        """Send a stretch of a file, which must stay open until it is sent."""
        self._check()
        with self._lock:
            self._enter(FilePart(file, offset, length), length)
        self._push()

    def _check(self) -> None:
        if self.is_broken:
            raise Disconnected('the client is gone')

    def _fail(self, error: OSError) -> None:
        self.is_broken = True
        raise Disconnected(error.strerror) from None

    def _keep(self, data: memoryview) -> None:
        with self._lock:
            self._store(data)
        self._push()

    def _push(self) -> None:
        # Only a socket that has refused something tells when it takes more,
        # so this must come after something is kept, and go on until then.
        while self.advance():
            pass

    def _store(self, data: memoryview) -> None:
        settings = self._settings
        in_memory = self._size + len(data) <= settings.output_buffer_size
        if in_memory and not self._spool():
            self._enter(data, len(data))
        elif len(data) > settings.output_spool_size:
            # It is in memory already, and the thread will wait for it.
            self._enter(data, len(data))
        else:
            self._spill(data)

    def _enter(self, part: memoryview | FilePart, size: int) -> None:
        if not self.parts:
            self._pace.begin(time.monotonic(), self._taken())
        self.parts.append(part)
        self._size += size

    def _spool(self) -> SpoolPart | None:
        last = self.parts[-1] if self.parts else None
        if (isinstance(last, SpoolPart)
                and last.end < self._settings.output_spool_size):
            return last
        return None

    def _spill(self, data: memoryview) -> None:
        spool = self._spool()
        try:
            if spool is None:
                self._enter(SpoolPart(data), len(data))
            else:
                spool.append(data)
                self._size += len(data)
        except OSError as error:
            logger.error('a response cannot be kept in a temporary file,'
                         ' memory keeps it: %s', error)
            self._enter(data, len(data))

    def advance(self) -> bool:
        """Send what the socket takes; whether to come back at once.

        For the sake of others it ends after a while even if the socket would
        take more.
        """
        with self._lock:
            return self._advance()

    def _advance(self) -> bool:
        left = TURN
        try:
            while self.parts and left > 0:
                sent = self._send_first()
                self._size -= sent
                self._sent += sent
                left -= sent
        except BlockingIOError:
            left = TURN
        except OSError:
            self._break()
        if self._gate is not None and (
                self.is_broken
                or self._size <= self._settings.output_buffer_size):
            self._open_gate()
        return bool(self.parts) and left <= 0

    def _send_first(self) -> int:
        part = self.parts[0]
        if isinstance(part, FilePart):
            sent = part.send(self._sock)
            if not sent:
                raise OSError('the file has become shorter')
            if not part.left:
                self.parts.popleft()
                part.close()
            return sent
        sent = self._sock.send(part)
        if sent == len(part):
            self.parts.popleft()
        else:
            self.parts[0] = self._trimmed(part[sent:])
        return sent

    def _trimmed(self, rest: memoryview) -> memoryview:
        # A view keeps alive all of what it is a view of.
        if len(rest) < 65536 and len(rest.obj) > 131072:
            return memoryview(bytes(rest))
        return rest

    def wait(self) -> None:
        """Return once there is room; Disconnected when there never is."""
        settings = self._settings
        room = settings.output_buffer_size + settings.output_spool_size
        if self._size <= room:
            return
        while self._size > settings.output_buffer_size:
            with self._lock:
                if self._size <= settings.output_buffer_size:
                    break
                gate = self._gate = threading.Lock()
                gate.acquire()
            if not gate.acquire(timeout=LOOK) and self.is_stalled(
                    time.monotonic()):
                self.abort()
            self._check()

    def is_stalled(self, now: float) -> bool:
        """Whether the client reads what is kept too slowly."""
        settings = self._settings
        with self._lock:
            return bool(self.parts) and self._pace.lags(
                now, self._taken(), settings.send_timeout,
                settings.minimum_rate)

    def _taken(self) -> int:
        """How much the client has taken, from one time to another.

        What is sent says little: the kernel, which may have megabytes on the
        way to a slow client, takes more of it only now and then.
        """
        try:
            queued, = INT.unpack(fcntl.ioctl(
                self._sock, termios.TIOCOUTQ, bytes(INT.size)))
        except OSError:
            queued = 0  # not every system tells
        return self._sent - queued

    def abort(self) -> None:
        """Drop what is kept; whoever sends gets Disconnected."""
        with self._lock:
            self._break()

    def _break(self) -> None:
        self.is_broken = True
        for part in self.parts:
            if isinstance(part, FilePart):
                part.close()
        self.parts.clear()
        self._size = 0
        self._open_gate()

    def _open_gate(self) -> None:
        if self._gate is not None:
            self._gate.release()
            self._gate = None
