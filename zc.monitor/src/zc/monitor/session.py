"""One client's connection: lines in, modes, answers out.

Everything here runs in the loop's thread; commands, which don't, see only
the session's ``connection``.
"""
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from zc.monitor.commands import INTERACTIVE_MARKER
from zc.monitor.commands import MORE_MARKER
from zc.monitor.commands import QUIT_MARKER
from zc.monitor.limits import Limits
from zc.monitor.output import Connection

RECEIVE = 64 * 1024
_MARKERS = (INTERACTIVE_MARKER, QUIT_MARKER, MORE_MARKER)


class Session:
    """What is known about one client.

    ``submit(session, name, args)`` is called to have a command run, at most
    one at a time; ``answered`` must be called when it has ended. ``wake``
    is called, from any thread, when there is something to send.
    """

    def __init__(
            self, sock: socket.socket, limits: Limits,
            submit: Callable[['Session', str, list[str]], None],
            wake: Callable[['Session'], None]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.connection = Connection(limits.output, lambda: wake(self))
        self.running = False
        self.finished = False
        self._limits = limits
        self._submit = submit
        self._input = bytearray()
        self._mode = QUIT_MARKER
        self._last: tuple[str, list[str]] | None = None
        self._ended_input = False
        self._ending = False
        self._lingering = False
        self._since = time.monotonic()

    # What the loop asks.

    def interest(self) -> int:
        """Return the events to wait for."""
        events = 0
        if self.connection.is_pending():
            events |= selectors.EVENT_WRITE
        if not self._ended_input and self._has_room():
            events |= selectors.EVENT_READ
        return events

    def deadline(self) -> float | None:
        """Return when to call `expire`, if ever."""
        if self._lingering:
            return self._since + self._limits.linger
        if self.connection.is_pending():
            return self._since + self._limits.stall
        if self._last is None and not self.running:
            return self._since + self._limits.idle
        return None

    def _has_room(self) -> bool:
        return self._ending or len(self._input) <= self._limits.line

    # What the loop tells.

    def ready(self, events: int) -> None:
        """Receive and send what is possible now."""
        try:
            if events & selectors.EVENT_READ:
                self._receive()
            if events & selectors.EVENT_WRITE:
                self.connection.send(self.sock.send)
                self._since = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:  # Gone, in whatever way: there is nobody to tell.
            self.finished = True
        self.advance()

    def touched(self) -> None:
        """Note that a command has begun to write."""
        self._since = time.monotonic()

    def answered(self, result: Any) -> None:
        """Note that the command has ended, and what it returned."""
        self.running = False
        self._since = time.monotonic()
        if any(result is marker for marker in _MARKERS):
            self._mode = result
        if self._mode is QUIT_MARKER:
            self._ending = True
        self.advance()

    def end(self, line: str | None = None) -> None:
        """Take no more commands; a last line may say why."""
        if line is not None:
            self.connection.say(line)
        self._ending = True
        self.advance()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._lingering or self.connection.is_pending():
            self.finished = True
        else:
            self._since = time.monotonic()
            self.end(f'No command within {self._limits.idle:g} seconds.')

    def close(self) -> None:
        """Close the socket, whatever is going on."""
        self.finished = True
        self.connection.abandon()
        self.sock.close()

    # The protocol.

    def advance(self) -> None:
        """Do whatever is next, as far as it goes without waiting."""
        while not (self.running or self._ending or self.finished):
            line = self._next_line()
            if line is None:
                break
            self._obey(line)
        if self._ended_input and not self.running and not self._input:
            self._ending = True
        if self._ending and not self.running:
            self._input.clear()
            if not self.connection.is_pending():
                self._part()

    def _receive(self) -> None:
        data = self.sock.recv(RECEIVE)
        if not data:
            self._ended_input = True
        elif not self._ending:
            self._input += data

    def _next_line(self) -> bytes | None:
        """Take a line from the input, if there is one.

        The last one needs no line end when the client has closed its side.
        """
        end = self._input.find(b'\n')
        length = len(self._input) if end < 0 else end
        if length > self._limits.line:
            self.end(f'The line is too long: {self._limits.line} bytes are '
                     'allowed.')
            return None
        if end < 0 and not (self._ended_input and length):
            return None
        line = bytes(self._input[:length])
        del self._input[:length + 1]
        return line

    def _obey(self, line: bytes) -> None:
        try:
            words = line.decode('utf-8').split()
        except UnicodeDecodeError:
            self.connection.say('The line is not UTF-8 text.')
            self._ending = self._mode is QUIT_MARKER
            return
        if self._mode is MORE_MARKER and self._last is not None:
            self._run(self._last[0], words)
        elif words:
            self._last = (words[0], words[1:])
            self._run(*self._last)
        elif self._last is not None:
            self._run(*self._last)

    def _run(self, name: str, args: list[str]) -> None:
        self.running = True
        self._submit(self, name, args)

    def _part(self) -> None:
        """End our side, and wait a little for the client to end its own.

        Closing at once while there is unread input would make the system
        send a reset, which can take the answer with it.
        """
        if self._ended_input or self.finished:
            self.finished = True
        elif not self._lingering:
            self._lingering = True
            self._since = time.monotonic()
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:  # Gone already.
                self.finished = True
