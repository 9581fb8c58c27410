"""The response on the wire: its head, its framing, and no byte beyond."""
from __future__ import annotations

import logging
from typing import IO
from typing import Final
from typing import Protocol

from zope.server.errors import ResponseError
from zope.server.files import FileWrapper
from zope.server.form import mypyc_attr
from zope.server.headers import DATE
from zope.server.headers import SERVER
from zope.server.headers import short_repr
from zope.server.request import Request
from zope.server.shared import SharedState

logger = logging.getLogger('zope.server.requests')

# Bodies smaller than this are joined with the head.
JOINED_BYTES: Final = 32768


# `Writer.missing` where the length of the body is not known.
UNKNOWN: Final = -1


class Sink(Protocol):
    """Where a response goes: its connection.

    `peer` is the address of the connection's other end.  `send`, `send_on`,
    `send_pair` and `send_file` raise Disconnected when the client is gone.
    """

    peer: str

    def send(self, data: bytes) -> None:
        """Send, or keep and wait for room."""

    def send_on(self, data: bytes) -> None:
        """Send, or keep, without waiting."""

    def send_pair(self, head: bytes, data: bytes) -> None:
        """Send two pieces, as `send` does."""

    def send_file(self, file: IO[bytes], offset: int, length: int) -> None:
        """Send a stretch of a file, without waiting."""

    def is_sending(self) -> bool:
        """Return whether some of what was sent is still kept."""

    def is_gone(self) -> bool:
        """Return whether the client has reset the connection."""

    def has_more(self) -> bool:
        """Return whether the client has sent something after the request."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Writer(Request):
    """A request and the response to it.

    `code` is 0 until the application has called ``start_response``.  `length`
    is then the Content-Length that it has declared, None without it, `lines`
    its other headers, and `special` is DATE and SERVER where it has set these
    itself.  `missing` is how many bytes of the body are still to come, or
    UNKNOWN; `sent` is how many have gone.  `is_cut` says that the response
    could not be finished.
    """

    sink: Sink
    shared: SharedState
    code = 0
    status_line = ''
    lines = ''
    length: int | None = None
    special = 0
    is_head_sent = False
    is_chunked = False
    is_cut = False
    missing = UNKNOWN
    sent = 0

    def __str__(self) -> str:
        """Return the request as logs show it, with its target quoted."""
        return (f'{self.method} {short_repr(self.target)} from'
                f' {self.sink.peer}')

    @property
    def peer(self) -> str:
        """The address of the connection: the client's or a proxy's."""
        return self.sink.peer

    def has_body(self) -> bool:
        """Return whether the response may have a body (RFC 9110, 6.4.1)."""
        return self.method != 'HEAD' and self.code not in (204, 304)

    def send_whole(self, data: bytes) -> None:
        """Send the head and the whole body."""
        if not self.code:
            raise ResponseError('start_response was not called')
        head = self._head(len(data))
        if not self.has_body():
            self.sink.send(head)
            return
        if self.missing != len(data):
            data = self._measured(data)
            if self.missing:
                self.fall_short()
        if len(data) < JOINED_BYTES:
            self.sink.send(head + data)
        else:
            self.sink.send_pair(head, data)
        self.sent = len(data)

    def send_some(self, data: bytes) -> None:
        """Send some of the body, and the head before the first of it."""
        piece = self._framed(data)
        if piece:
            self.sink.send(piece)

    def send_on(self, data: bytes) -> None:
        """Do what `send_some` does, without waiting for the client."""
        piece = self._framed(data)
        if piece:
            self.sink.send_on(piece)

    def _framed(self, data: bytes) -> bytes:
        head = b''
        if not self.is_head_sent:
            if not self.code:
                raise ResponseError('start_response was not called')
            head = self._head(None)
        if not self.has_body():
            data = b''
        elif self.missing >= 0:
            data = self._measured(data)
        size = len(data)
        if self.is_chunked:
            data = b'%x\r\n%b\r\n' % (size, data)
        self.sent += size
        return head + data

    def send_end(self) -> None:
        """End the response, after `send_some` or with an empty body."""
        if not self.is_head_sent:
            self.send_whole(b'')
        elif self.is_chunked:
            self.sink.send(b'0\r\n\r\n')
        elif self.missing > 0 and self.has_body():
            self.fall_short()

    def send_file(self, wrapper: FileWrapper) -> bool:
        """Send a plain file; return false if the file is not plain."""
        stretch = wrapper.stretch()
        if stretch is None or self.is_head_sent or not self.code:
            return False
        offset, left = stretch
        if self.length is not None:
            left = min(left, self.length)
        self.sink.send(self._head(left))
        if self.has_body():
            self.missing -= left
            self.sent += left
            if left:
                self.sink.send_file(wrapper.file, offset, left)
            if self.missing:
                self.fall_short()
        return True

    def _head(self, total: int | None) -> bytes:
        """Return the head; `total` is the size of the body if it is known."""
        shared, minor = self.shared, self.minor
        length = total if self.length is None else self.length
        if length is not None and (
                length and self.code not in (204, 304)
                or self._may_declare(length)):
            self.missing = length
            framing = f'Content-Length: {length}\r\n'
        else:
            framing = self._unknown_length()
        if shared.is_draining and not self.sink.has_more():
            self.keep_alive = False
        if not self.keep_alive:
            framing += 'Connection: close\r\n'
        elif not minor:
            framing += 'Connection: keep-alive\r\n'
        tail = shared.tail
        if self.special:
            tail = (('' if self.special & SERVER else shared.server)
                    + ('' if self.special & DATE else shared.date) + '\r\n')
        self.is_head_sent = True
        version = 'HTTP/1.1' if minor else 'HTTP/1.0'
        return (f'{version} {self.status_line}{self.lines}{framing}'
                f'{tail}').encode('latin-1')

    def _may_declare(self, length: int) -> bool:
        """Return whether the head may have this Content-Length.

        RFC 9110, 8.6: never in a 204; in a 304 or an answer to HEAD only what
        a GET would have.  The empty body of these two says nothing of that,
        and frameworks give a 304 the length 0 of its own body.
        """
        if self.code == 204:
            return False
        if self.code == 304:
            return bool(self.length)
        return self.method != 'HEAD' or length > 0 or self.length is not None

    def _unknown_length(self) -> str:
        if not self.has_body():
            return ''
        if self.minor:
            self.is_chunked = True
            return 'Transfer-Encoding: chunked\r\n'
        # The end of the connection is the end of the body (RFC 9112, 6.3).
        self.keep_alive = False
        return ''

    def _measured(self, data: bytes) -> bytes:
        """Return data of the body, cut at the declared length."""
        self.missing -= len(data)
        if self.missing < 0:
            logger.error('%s: the body is longer than its Content-Length;'
                         ' the rest is dropped', self)
            data = data[:self.missing]
            self.missing = 0
            self.keep_alive = False
        return data

    def fall_short(self) -> None:
        """Note that the application has sent less than it has declared."""
        logger.error('%s: the body is shorter than its Content-Length; the'
                     ' connection is closed', self)
        self.keep_alive = False
        self.is_cut = True
