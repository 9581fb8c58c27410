"""llhttp, through httptools: what is a well-formed head.

llhttp is always fed a whole head, up to its empty line and never beyond.  So
the end of a head is known exactly, although httptools does not tell how much
it has consumed, and what follows stays with the caller.

llhttp only checks: `request` splits the head.  A call from C for each field
would take longer than splitting does.
"""
from __future__ import annotations

import re
from typing import Final

import httptools
from zope.server.errors import HTTPError

END: Final = b'\r\n\r\n'
# A method, or the name of a field (RFC 9110, 5.6.2).
is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def has_bare_ending(data: bytes | bytearray) -> bool:
    """Return whether a CR or LF stands alone; the last may become a CR LF."""
    pairs = data.count(b'\r\n')
    return (data.count(b'\n') != pairs
            or data.count(b'\r') != pairs + data.endswith(b'\r'))


class HeadChecker:
    """Checks the heads of a connection's requests, a whole head at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(None)
        self._is_spent = False

    def check(self, head: bytes, lines: list[str]) -> None:
        """Raise HTTPError when a head is malformed.

        `head` ends with its first empty line.  `lines` are what the caller
        has split it into at each CR LF.
        """
        if self._is_spent:
            self._parser = httptools.HttpRequestParser(None)
            self._is_spent = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # A server may ignore Upgrade (RFC 9110, 7.8).  llhttp would now
            # take the body for another protocol.
            self.forget()
        except httptools.HttpParserError as error:
            self.forget()
            raise HTTPError(
                400, f'The request is malformed: {error}.') from None
        text = ''.join(lines)
        if '\n' in text or '\r' in text:
            # llhttp may take a CR or LF alone for the end of a line.
            self.forget()
            raise HTTPError(400, 'The request is malformed.')

    def forget(self) -> None:
        """Use a new parser for the next head.

        This is needed after a head whose body follows: the body goes
        elsewhere, and llhttp would wait for it here.
        """
        self._is_spent = True
