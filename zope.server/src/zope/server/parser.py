"""llhttp, through httptools, as two small objects.

llhttp decides what is well formed.  It is always fed up to a place where a
message can end, an empty line, and never beyond.  So the end of a message is
known exactly, although httptools does not tell how much it has consumed, and
the beginning of the next message stays with the caller.
"""
from __future__ import annotations

from collections.abc import Callable

import httptools
from zope.server.errors import HTTPError
from zope.server.settings import Settings

END = b'\r\n\r\n'
# The head for the bodies that are fed to llhttp.
PRELUDE = (b'POST / HTTP/1.1\r\n'
           b'Host: x\r\n'
           b'Transfer-Encoding: chunked\r\n\r\n')
PRELUDE_FIELDS = 2
# For each chunk this much of framing is allowed beyond max_chunk_framing.
CHUNK_FRAMING_BYTES = 24


class HeadParser:
    """Splits the heads of requests into fields, a whole head at a time."""

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser: httptools.HttpRequestParser | None = None

    def fields(self, head: bytes) -> list[tuple[bytes, bytes]]:
        """Return the (name, value) pairs of a head, as they came.

        `head` ends with its first empty line.  Raise HTTPError when it is
        malformed.
        """
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        fields = self._fields = []
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # A server may ignore Upgrade (RFC 9110, 7.8).  llhttp would now
            # take the body for another protocol.
            self.forget()
        except httptools.HttpParserError as error:
            self.forget()
            raise HTTPError(
                400, f'The request is malformed: {error}.') from None
        if len(fields) != head.count(b'\r\n') - 2:
            # llhttp finds lines, or the head, to end elsewhere.
            self.forget()
            raise HTTPError(400, 'The request is malformed.')
        return fields

    def forget(self) -> None:
        """Use a new parser for the next head.

        This is needed after a head whose body follows: the body goes
        elsewhere, and llhttp would wait for it here.
        """
        self._parser = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field, for llhttp."""
        self._fields.append((name, value))


class ChunkedParser:
    """Decodes a chunked body (RFC 9112, 7.1) and calls `write` with its data.

    What surrounds the data (sizes, extensions, trailers) is dropped, and its
    size is limited.  `is_complete` says that the end of the body has come.
    """

    def __init__(self, write: Callable[[bytes], None],
                 settings: Settings) -> None:
        self._write = write
        self._settings = settings
        self._framing = 0
        self._allowed = settings.max_chunk_framing
        # The fields of the prelude are counted, too.
        self._trailers = -PRELUDE_FIELDS
        self._tail = b''
        self._may_end = False
        self._messages = 0
        self._failure: HTTPError | None = None
        self.is_complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(PRELUDE)

    def feed(self, data: bytes) -> int:
        """Take what `data` has of the body; return how many bytes.

        Raise HTTPError when the body is malformed, or `write` does.
        """
        start, view = 0, memoryview(data)
        while start < len(data) and not self.is_complete:
            end = self.possible_end(data, start)
            self._framing += end - start
            self._parse(view[start:end])
            self._tail = (self._tail + data[max(start, end - 3):end])[-3:]
            start = end
        return start

    def possible_end(self, data: bytes, start: int) -> int:
        """Return where in `data` the message ends at the earliest.

        That is after the first empty line behind a chunk of size 0; the end
        of `data` if there is none.  Data of the body can look like that.
        Mostly it does not, and is parsed all at once.
        """
        if self._may_end:
            # An empty line may have begun in what was fed before.
            seam = (self._tail + data[start:start + 3]).find(END)
            if seam >= 0:
                self._may_end = False
                return start + seam + len(END) - len(self._tail)
        else:
            start = self._zero(data, start)
            if start < 0:
                return len(data)
            self._may_end = True
        found = data.find(END, start)
        if found < 0:
            return len(data)
        self._may_end = False
        return found + len(END)

    def _zero(self, data: bytes, start: int) -> int:
        """Return where a line begins that can be a size of 0, or the CR LF
        before it; -1 if there is none.
        """
        begins_line = self._tail[-1:] in (b'', b'\n')
        if begins_line and data.startswith(b'0', start):
            return start
        return data.find(b'\n0', start)

    def _parse(self, piece: memoryview) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            if self._failure is not None:
                raise self._failure from None
            raise HTTPError(
                400, f'The chunked body is malformed: {error}.') from None
        if self._messages > 1:
            # llhttp finds the body to end elsewhere.
            raise HTTPError(400, 'The chunked body is malformed.')
        if self._framing > self._allowed:
            raise HTTPError(400, 'Chunk extensions or trailers are too long.')

    # What llhttp calls.

    def on_message_begin(self) -> None:
        """Count a message."""
        self._messages += 1

    def on_chunk_header(self) -> None:
        """Allow for the framing of a chunk."""
        self._allowed += CHUNK_FRAMING_BYTES

    def on_body(self, data: bytes) -> None:
        """Write data of the body."""
        self._framing -= len(data)
        try:
            self._write(data)
        except HTTPError as error:
            # httptools makes an error of its own of it.
            self._failure = error
            raise

    def on_header(self, name: bytes, value: bytes) -> None:
        """Drop a trailer, as it must never pass for a header."""
        self._trailers += 1
        if self._trailers > self._settings.max_request_fields:
            self._failure = HTTPError(431, 'There are too many trailers.')
            raise self._failure

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        self.is_complete = True
