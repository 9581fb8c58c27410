"""The send buffer of a connection.

Data goes straight to the socket.  What the socket does not take is kept: in
memory at first, then in a temporary file; at last the application's thread
waits.  The thread that polls sends it when the socket takes more.
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
from zope.server.files import TURN_BYTES
from zope.server.files import FilePart
from zope.server.files import SpoolPart
from zope.server.limitedlog import LimitedLog
from zope.server.rate import MinimumRate
from zope.server.settings import Settings

logger = logging.getLogger('zope.server')
unkept = LimitedLog(
    logger.error, '%d more pieces of responses were kept in memory')

# A thread that waits for room looks this often whether the client reads.
LOOK_S = 1.0
INT = struct.Struct('i')
GONE = 'the client is gone'
# A slow reader acknowledges in bursts, each time its buffer has room again.
BURST_BYTES = 128 * 2 ** 10


class SendBuffer:
    """The sending side of a connection.

    `send`, `send_pair`, `send_file` and `wait` are for the thread that answers
    a request; `flush` is for the thread that polls.

    `pending` is what is kept, in order, and `sent` counts the bytes of it
    that the socket has taken so far.  `is_broken` says that the client is
    gone.
    """

    __slots__ = ('_sock', '_settings', 'pending', '_size', 'sent', '_rate',
                 '_lock', '_writable', 'is_broken')

    def __init__(self, sock: socket.socket, settings: Settings) -> None:
        self._sock = sock
        self._settings = settings
        self.pending: deque[memoryview | FilePart] = deque()
        self._size = 0
        self.sent = 0
        self._rate = MinimumRate(BURST_BYTES)
        self._lock = threading.Lock()
        self._writable: threading.Lock | None = None
        self.is_broken = False

    def send(self, data: bytes) -> None:
        """Send or keep; raise Disconnected when the client is gone."""
        if self.is_broken:
            raise Disconnected(GONE)
        sent = 0
        if not self.pending:
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
        """Send or keep two pieces, without joining them; see `send`."""
        if self.is_broken:
            raise Disconnected(GONE)
        sent = 0
        if not self.pending:
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
        """Send a stretch of a file, in bytes.

        The file must stay open until `pending` is empty.  Raise Disconnected
        when the client is gone.
        """
        if self.is_broken:
            raise Disconnected(GONE)
        with self._lock:
            self._enter(FilePart(file, offset, length), length)
        self._push()

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
        while self.flush():
            pass

    def _store(self, data: memoryview) -> None:
        settings = self._settings
        in_memory = self._size + len(data) <= settings.output_buffer_size
        if in_memory and not self._spool():
            self._enter(data, len(data))
        elif len(data) > settings.output_spool_size:
            # It is in memory already, and its thread will wait in `wait`.
            self._enter(data, len(data))
        else:
            self._spill(data)

    def _enter(self, part: memoryview | FilePart, size: int) -> None:
        if not self.pending:
            self._rate.begin(time.monotonic(), self.acknowledged())
        self.pending.append(part)
        self._size += size

    def _spool(self) -> SpoolPart | None:
        last = self.pending[-1] if self.pending else None
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
            unkept.add('a response cannot be kept in a temporary file,'
                       ' memory keeps it: %s', error)
            self._enter(data, len(data))

    def flush(self) -> bool:
        """Send what the socket takes; return whether it would take more.

        Other connections have their turn after TURN_BYTES.
        """
        with self._lock:
            return self._flush()

    def _flush(self) -> bool:
        left = TURN_BYTES
        try:
            while self.pending and left > 0:
                sent = self._send_first()
                self._size -= sent
                self.sent += sent
                left -= sent
        except BlockingIOError:
            left = TURN_BYTES
        except OSError:
            self._break()
        if self._writable is not None and (
                self.is_broken
                or self._size <= self._settings.output_buffer_size):
            self._set_writable()
        return bool(self.pending) and left <= 0

    def _send_first(self) -> int:
        part = self.pending[0]
        if isinstance(part, FilePart):
            sent = part.send(self._sock)
            if not sent:
                raise OSError('the file has become shorter')
            if not part.left:
                self.pending.popleft()
                part.close()
            return sent
        sent = self._sock.send(part)
        if sent == len(part):
            self.pending.popleft()
        else:
            self.pending[0] = self._trimmed(part[sent:])
        return sent

    def _trimmed(self, rest: memoryview) -> memoryview:
        # A view keeps alive all of what it is a view of.
        if len(rest) < 65536 and memoryview(rest.obj).nbytes > 131072:
            return memoryview(bytes(rest))
        return rest

    def wait(self) -> None:
        """Wait until there is room.

        Raise Disconnected when the client is gone, or reads too slowly.
        """
        settings = self._settings
        room = settings.output_buffer_size + settings.output_spool_size
        if self._size <= room:
            return
        while self._size > settings.output_buffer_size:
            with self._lock:
                if self._size <= settings.output_buffer_size:
                    return
                writable = self._writable = threading.Lock()
                writable.acquire()
            if not writable.acquire(timeout=LOOK_S) and self.is_stalled(
                    time.monotonic()):
                self.abort()
            if self.is_broken:
                raise Disconnected(GONE)

    def is_stalled(self, now: float) -> bool:
        """Return whether the client reads what is kept too slowly."""
        settings = self._settings
        with self._lock:
            return bool(self.pending) and self._rate.is_too_slow(
                now, self.acknowledged(), settings.send_timeout,
                settings.minimum_rate)

    def acknowledged(self) -> int:
        """Return how many bytes the client has acknowledged.

        Only differences count.  `sent` says little: the kernel, which may have
        megabytes on the way to a slow client, takes more only now and then.
        So what is not acknowledged is subtracted.
        """
        return self.sent - self.unacknowledged()

    def unacknowledged(self) -> int:
        """Return how many bytes are sent and not acknowledged.

        That is SIOCOUTQ, tcp(7); 0 where the system has none.
        """
        try:
            queued, = INT.unpack(fcntl.ioctl(
                self._sock, termios.TIOCOUTQ, bytes(INT.size)))
        except OSError:
            return 0
        return queued

    def abort(self) -> None:
        """Drop what is kept; from now on `send` raises Disconnected."""
        with self._lock:
            self._break()

    def _break(self) -> None:
        self.is_broken = True
        for part in self.pending:
            if isinstance(part, FilePart):
                part.close()
        self.pending.clear()
        self._size = 0
        self._set_writable()

    def _set_writable(self) -> None:
        if self._writable is not None:
            self._writable.release()
            self._writable = None
