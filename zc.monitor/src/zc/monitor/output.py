"""What a command writes its answer to."""
import threading
from collections.abc import Callable
from collections.abc import Iterable

PIECE = 64 * 1024


class Connection:
    """The way back to a client, for the command that it asked for.

    It is enough of a file for ``print(..., file=connection)``. Any thread
    may write, also after the command has returned, as long as the
    connection is open. A client that is slow makes ``write`` wait, one that
    has gone makes it do nothing: look at ``closed`` to end early.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self._limit = limit
        self._wake = wake
        self._changed = threading.Condition()
        self._buffer = bytearray()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nobody will read what is written from now on."""
        return self._closed

    def write(self, text: str) -> None:
        """Send text, of any size."""
        if not isinstance(text, str):
            raise TypeError(
                f'write takes text (str), not {type(text).__name__}')
        data = memoryview(text.encode('utf-8', 'backslashreplace'))
        for start in range(0, len(data), PIECE):
            if not self._add(data[start:start + PIECE]):
                break

    def writelines(self, lines: Iterable[str]) -> None:
        """Send several texts; line ends are up to the caller, as in files."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: what is written is on its way."""

    def _add(self, piece: memoryview) -> bool:
        with self._changed:
            self._changed.wait_for(self._is_ready)
            if self._closed:
                return False
            was_empty = not self._buffer
            self._buffer += piece
        if was_empty:  # Else the loop is sending already.
            self._wake()
        return True

    def _is_ready(self) -> bool:
        return self._closed or len(self._buffer) < self._limit

    # The loop's side.

    def say(self, line: str) -> None:
        """Add a line of the server's own, from the loop: never waits."""
        with self._changed:
            if not self._closed:
                self._buffer += line.encode('utf-8', 'backslashreplace')
                self._buffer += b'\n'

    def is_pending(self) -> bool:
        """Whether there is something to send."""
        with self._changed:
            return bool(self._buffer)

    def send(self, send: Callable[[bytes], int]) -> None:
        """Hand the next piece to a socket's send, which says how much."""
        with self._changed:
            piece = bytes(self._buffer[:PIECE])
        sent = send(piece)
        with self._changed:
            del self._buffer[:sent]
            self._changed.notify_all()

    def abandon(self) -> None:
        """Forget what is left, and let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._buffer.clear()
            self._changed.notify_all()
