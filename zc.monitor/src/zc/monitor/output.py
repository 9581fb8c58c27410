"""The connection as a command sees it: a file for its answer."""
import threading
from collections.abc import Callable
from collections.abc import Iterable

from zc.monitor.peers import UNKNOWN
from zc.monitor.peers import Peer

PIECE_BYTES = 64 * 1024


class Connection:
    """The file that a command writes its answer to.

    It has what ``print(..., file=connection)`` needs. Any thread may write as
    long as the connection is open, also after the command has returned.
    `write` blocks while the client reads too slowly, and does nothing once
    the client has gone. A command that runs long checks `closed` to end early.

    `peer` says who the client is, and whether it is on this machine.

    `limit` is the size of the buffer in bytes. `wake()` tells the loop that
    the buffer is no longer empty.
    """

    def __init__(
            self, limit: int, wake: Callable[[], None],
            peer: Peer = UNKNOWN) -> None:
        self.peer = peer
        self._limit = limit
        self._wake = wake
        self._condition = threading.Condition()
        self._buffer = bytearray()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the client has gone, so that `write` does nothing."""
        return self._closed

    def write(self, text: str) -> None:
        """Send text of any size; raise TypeError for anything but text."""
        if not isinstance(text, str):
            raise TypeError(
                f'write takes text (str), not {type(text).__name__}')
        data = memoryview(text.encode('utf-8', 'backslashreplace'))
        for start in range(0, len(data), PIECE_BYTES):
            if not self._add(data[start:start + PIECE_BYTES]):
                break

    def writelines(self, lines: Iterable[str]) -> None:
        """Send several texts; add no line ends, as files do not."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: the loop sends without being asked."""

    def _add(self, piece: memoryview) -> bool:
        with self._condition:
            self._condition.wait_for(self._may_write)
            if self._closed:
                return False
            was_empty = not self._buffer
            self._buffer += piece
        if was_empty:  # Otherwise the loop is sending already.
            self._wake()
        return True

    def _may_write(self) -> bool:
        return self._closed or len(self._buffer) < self._limit

    # The loop's side.

    def write_line(self, line: str) -> None:
        """Add a line of the server's own; never block the loop."""
        with self._condition:
            if not self._closed:
                self._buffer += line.encode('utf-8', 'backslashreplace')
                self._buffer += b'\n'

    def is_pending(self) -> bool:
        """Tell whether there are bytes to send."""
        with self._condition:
            return bool(self._buffer)

    def send(self, send: Callable[[bytes], int]) -> None:
        """Pass the next piece to `send`, which returns the bytes it took."""
        with self._condition:
            piece = bytes(self._buffer[:PIECE_BYTES])
        sent = send(piece)
        with self._condition:
            del self._buffer[:sent]
            self._condition.notify_all()

    def discard(self) -> None:
        """Drop the buffer, and end all calls of `write` that block."""
        with self._condition:
            self._closed = True
            self._buffer.clear()
            self._condition.notify_all()
