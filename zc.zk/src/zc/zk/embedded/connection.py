"""Connection: frames of one client, read and written within bounds."""
import logging
import socket
import time
from typing import Any
from typing import Protocol

from zc.zk.embedded import four_letter_words
from zc.zk.embedded.client import Client
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.four_letter_words import Status
from zc.zk.embedded.jute import INT
from zc.zk.embedded.protocol import MAX_CONNECT_BYTES
from zc.zk.embedded.protocol import MAX_FRAME_BYTES

logger = logging.getLogger('zc.zk.embedded')

CHUNK_BYTES = 1 << 16
# With this much unsent output, no more requests are read (back-pressure).
OUTPUT_FULL_BYTES = 1 << 20
# With this much, which takes a flood of events, the connection is closed.
OUTPUT_LIMIT_BYTES = 16 << 20


class Scheduler(Status, Protocol):
    """The event loop, as a connection needs it."""

    def has_output(self, connection: 'Connection') -> None:
        """Write its output, or forget a closed one, before the next wait."""

    def keep_input(self, connection: 'Connection', size: int) -> None:
        """Bound what all connections have received of unfinished frames."""

    def set_deadline(self, connection: 'Connection') -> None:
        """Close the connection if it is without a session for too long."""


class Connection:
    """A socket and the client behind it.

    `is_reading` and `is_writing` tell the event loop what to wait for.
    `is_closed` is set once there is nothing left to do. `received` and `sent`
    are numbers of frames. `awaited` belongs to the event loop: the selector
    events that it waits for.
    """

    def __init__(
        self, sock: socket.socket, address: Any, loop: Scheduler,
    ) -> None:
        self._socket = sock
        self.address = address
        self._loop = loop
        self._input = bytearray()
        self._output = bytearray()
        self._is_finishing = False
        self.is_closed = False
        self.awaited = 0
        # When the last bytes arrived, of the monotonic clock.
        self._arrived = 0.0
        self.received = self.sent = 0
        self.client = Client(loop.database, address[0], self)

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._socket.fileno()

    @property
    def is_reading(self) -> bool:
        """Whether more requests are read."""
        return not self._is_finishing and len(self._output) < OUTPUT_FULL_BYTES

    @property
    def is_sessionless(self) -> bool:
        """Whether there is no session yet, or the connection is closing."""
        return self._is_finishing or self.client.session is None

    @property
    def is_writing(self) -> bool:
        """Whether there is unsent output."""
        return bool(self._output)

    def send(self, frame: bytes) -> None:
        """Queue a frame; drop it when the connection is closing."""
        if self.is_closed or self._is_finishing:
            return
        if len(self._output) > OUTPUT_LIMIT_BYTES:
            logger.warning('%s does not read its events: closed', self)
            self.close()
            return
        self._output += INT.pack(len(frame))
        self._output += frame
        self.sent += 1
        self._loop.sent += 1
        self._loop.has_output(self)

    def finish(self) -> None:
        """Close once the output is sent; read no more."""
        self._is_finishing = True
        self._input.clear()
        self._loop.has_output(self)
        self._loop.set_deadline(self)

    def close(self) -> None:
        """Close now; drop unsent output."""
        if not self.is_closed:
            self.is_closed = True
            self.client.leave()
            self._output.clear()
            self._loop.has_output(self)

    def read(self) -> None:
        """Read from the socket, and answer complete requests."""
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self.close()
            return
        self._arrived = time.monotonic()
        self._input += data
        self.work()
        self._loop.keep_input(self, len(self._input))

    def write(self) -> None:
        """Send what the socket takes; then answer requests that waited."""
        try:
            if self._output:
                is_crowded = not self.is_reading
                sent = self._socket.send(self._output)
                del self._output[:sent]
                if is_crowded and self.client.session is not None:
                    # Its pings are not read now, but it is alive.
                    self.client.session.touch()
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self._is_finishing and not self._output:
            self.close()
        elif self._input:
            self.work()  # back-pressure may have stopped it

    def release(self) -> None:
        """Close the socket, which the event loop has forgotten."""
        self._socket.close()

    def work(self) -> None:
        """Answer the requests that have arrived completely."""
        try:
            self._work()
        except Malformed as error:
            logger.warning('%s: %s: closed', self, error)
            self.close()

    def _work(self) -> None:
        if self.client.session is None and self._answer_word():
            return
        start = count = 0
        while self.is_reading and not self.is_closed:
            end = self._end_of_frame(start)
            if end is None:
                break
            frame = bytes(self._input[start + INT.size:end])
            start = end
            self.received += 1
            self._loop.received += 1
            self.client.receive(frame)
            count += 1
        if count:
            self._loop.latency.add(time.monotonic() - self._arrived, count)
        del self._input[:start]

    def _end_of_frame(self, start: int) -> int | None:
        if len(self._input) < start + INT.size:
            return None
        size, = INT.unpack_from(self._input, start)
        limit = (MAX_CONNECT_BYTES if self.client.session is None
                 else MAX_FRAME_BYTES)
        if not 0 <= size <= limit:
            raise Malformed(f'a frame of {size} bytes')
        end = start + INT.size + size
        return end if end <= len(self._input) else None

    def _answer_word(self) -> bool:
        answer = four_letter_words.answer(
            bytes(self._input[:four_letter_words.WORD_BYTES]), self._loop)
        if answer is None:
            return False
        self._output += answer
        self.finish()
        return True

    def __str__(self) -> str:
        host, port = self.address[:2]
        return f'{host}:{port}'
