"""One client's session: reads lines, runs commands, keeps the mode.

All of it runs in the loop's thread. Commands run in others and see only the
session's `connection`.
"""
import logging
import re
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
from zc.monitor.peers import identify

logger = logging.getLogger('zc.monitor')

RECEIVE_BYTES = 64 * 1024
_MARKERS = (INTERACTIVE_MARKER, QUIT_MARKER, MORE_MARKER)

# A request line (RFC 9112, section 3), or the field that each request has. A
# web page can have a browser send them to any address, and what follows them.
_is_http = re.compile(
    rb'\s*(\S+\s+\S+\s+HTTP/[0-9.]+\s*$|Host:)', re.IGNORECASE).match


class ClientSession:
    """The state of one client: its socket, its mode, its running command.

    ``submit(session, name, args)`` is called to run a command, one at a time;
    `answered` must be called when the command has ended. ``wake(session)`` is
    called, from any thread, when there are bytes to send. ``refusal(session)``
    returns why the session may not stay for further commands, None if it may.
    """

    def __init__(
            self, sock: socket.socket, limits: Limits,
            submit: Callable[['ClientSession', str, list[str]], None],
            wake: Callable[['ClientSession'], None],
            refusal: Callable[['ClientSession'], str | None]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.peer = identify(sock)
        self.connection = Connection(
            limits.output, lambda: wake(self), self.peer)
        self.running = False
        self.finished = False
        self._limits = limits
        self._submit = submit
        self._refusal = refusal
        self._input = bytearray()
        self._mode = QUIT_MARKER
        self._last: tuple[str, list[str]] | None = None
        self._has_input_ended = False
        self._is_ending = False
        self._is_lingering = False
        self._since = time.monotonic()

    # Questions of the loop.

    @property
    def stays(self) -> bool:
        """Whether it stays for further commands."""
        return self._mode is not QUIT_MARKER and not self._is_ending

    def interest(self) -> int:
        """Return the selector events to wait for."""
        events = 0
        if self.connection.is_pending():
            events |= selectors.EVENT_WRITE
        if not self._has_input_ended and self._has_room():
            events |= selectors.EVENT_READ
        return events

    def deadline(self) -> float | None:
        """Return the monotonic time to call `expire` at; None for never."""
        if self._is_lingering:
            return self._since + self._limits.linger
        if self.connection.is_pending():
            return self._since + self._limits.stall
        if self.running:
            return None
        return self._since + self._idle()

    def _idle(self) -> float:
        """Return the seconds that the client has to send a command."""
        return (self._limits.interactive_idle if self.stays
                else self._limits.idle)

    def _has_room(self) -> bool:
        return self._is_ending or len(self._input) <= self._limits.line

    # Events from the loop.

    def ready(self, events: int) -> None:
        """Receive and send as far as possible without blocking."""
        try:
            if events & selectors.EVENT_READ:
                self._receive()
            if events & selectors.EVENT_WRITE:
                self.connection.send(self.sock.send)
                self._since = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:  # The connection is broken.
            self.finished = True
        self.advance()

    def note_output(self) -> None:
        """Begin the time that the client has to read: a command writes."""
        self._since = time.monotonic()

    def answered(self, result: Any) -> None:
        """Apply what the command returned: it has ended."""
        self.running = False
        self._since = time.monotonic()
        if any(result is marker for marker in _MARKERS):
            stays = result is not QUIT_MARKER and not self.stays
            if stays and (refusal := self._refusal(self)):
                self.connection.write_line(refusal)
            else:
                self._mode = result
        if self._mode is QUIT_MARKER:
            self._is_ending = True
        self.advance()

    def end(self, line: str | None = None) -> None:
        """Take no more commands; send `line`, if any, as the last one."""
        if line is not None:
            self.connection.write_line(line)
        self._is_ending = True
        self.advance()

    def expire(self) -> None:
        """Disconnect the client, or end the session with a line why."""
        if self._is_lingering or self.connection.is_pending():
            self.finished = True
        else:
            idle = self._idle()
            self._since = time.monotonic()
            self.end(f'No command within {idle:g} seconds.')

    def close(self) -> None:
        """Close the socket at once."""
        self.finished = True
        self.connection.discard()
        self.sock.close()

    # The protocol.

    def advance(self) -> None:
        """Run the next command, or end the session, if possible now."""
        while not (self.running or self._is_ending or self.finished):
            line = self._next_line()
            if line is None:
                break
            self._run_line(line)
        if self._has_input_ended and not self.running and not self._input:
            self._is_ending = True
        if self._is_ending and not self.running:
            self._input.clear()
            if not self.connection.is_pending():
                self._finish()

    def _receive(self) -> None:
        data = self.sock.recv(RECEIVE_BYTES)
        if not data:
            self._has_input_ended = True
        elif not self._is_ending:
            self._input += data

    def _next_line(self) -> bytes | None:
        """Take a line from the input; return None if none is complete.

        The last line needs no line end once the client has closed its side.
        """
        end = self._input.find(b'\n')
        length = len(self._input) if end < 0 else end
        if length > self._limits.line:
            self.end(f'The line is too long: {self._limits.line} bytes are '
                     'allowed.')
            return None
        if end < 0 and not (self._has_input_ended and length):
            return None
        line = bytes(self._input[:length])
        del self._input[:length + 1]
        return line

    def _run_line(self, line: bytes) -> None:
        if _is_http(line):
            logger.info('%s speaks HTTP', self.peer)
            self.end('This is no HTTP server.')
            return
        try:
            words = line.decode('utf-8').split()
        except UnicodeDecodeError:
            self.connection.write_line('The line is not UTF-8 text.')
            self._is_ending = self._mode is QUIT_MARKER
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

    def _finish(self) -> None:
        """Shut down our side; wait `Limits.linger` for the client's.

        A socket that is closed with unread input sends a reset, and the
        client may lose the answer (RFC 1122, section 4.2.2.13).
        """
        if self._has_input_ended or self.finished:
            self.finished = True
        elif not self._is_lingering:
            self._is_lingering = True
            self._since = time.monotonic()
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:  # The client has gone already.
                self.finished = True
