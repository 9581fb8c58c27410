"""llhttp, through httptools: what is a well-formed head.

llhttp is always fed a whole head, up to its empty line and never beyond.  So
the end of a head is known exactly, although httptools does not tell how much
it has consumed, and what follows stays with the caller.
"""
from __future__ import annotations

from typing import Final

import httptools
from zope.server.errors import HTTPError

END: Final = b'\r\n\r\n'


def has_bare_ending(data: bytes | bytearray) -> bool:
    """Return whether a CR or LF stands alone; the last may become a CR LF."""
    pairs = data.count(b'\r\n')
    return (data.count(b'\n') != pairs
            or data.count(b'\r') != pairs + data.endswith(b'\r'))


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
