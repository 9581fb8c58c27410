"""Decodes chunked bodies (RFC 9112, 7.1).

llhttp would refuse white space in chunk extensions, which RFC 9110, 5.6.3,
has a recipient parse, and httptools has no way to allow it.  So the sizes are
parsed here, by the grammar of the RFC and nothing beyond.  llhttp checks
trailers, as it does the fields of a head.
"""
from __future__ import annotations

import re
from collections.abc import Callable

from zope.server.errors import HTTPError
from zope.server.parser import END
from zope.server.parser import HeadChecker
from zope.server.parser import has_bare_ending
from zope.server.parser import is_token
from zope.server.settings import Settings

# So much of each size line, and of the trailers, does not count towards
# max_chunk_framing.  What one line leaves of it is not there for another, or
# many small chunks would make room for a line of megabytes.
CHUNK_FRAMING_BYTES = 24
# The most hexadecimal digits of a size, without zeros before them.
SIZE_DIGITS = 16
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
EXTENSION = (rb'[ \t]*;[ \t]*' + TOKEN + rb'(?:[ \t]*=[ \t]*(?:' + TOKEN
             + rb'|' + QUOTED + rb'))?')
SIZE_LINE = re.compile(
    rb'0*([0-9A-Fa-f]{1,%d})(?:%b)*\r\n' % (SIZE_DIGITS, EXTENSION)).fullmatch
# What can become a size line.
SIZE_BEGINNING = re.compile(
    rb'[0-9A-Fa-f]*(?:[ \t;][\t -~\x80-\xff]*)?\r?').fullmatch
# A request with which the trailers are parsed.
PRELUDE = b'GET / HTTP/1.1\r\n'
# Fields of framing are no trailers (RFC 9110, 6.5.1).
FORBIDDEN_TRAILERS = 'content-length', 'transfer-encoding'


class ChunkedParser:
    """Decodes a chunked body and calls `write` with its data.

    What surrounds the data (sizes, extensions, trailers) is dropped, and its
    size is limited.  `is_complete` says that the end of the body has come.
    """

    def __init__(self, write: Callable[[bytes], None],
                 settings: Settings) -> None:
        self._write = write
        self._settings = settings
        # Of earlier lines, in bytes, what counts towards max_chunk_framing.
        self._framing = 0
        # The beginning of a size line, or of the trailers.
        self._kept = b''
        # How many bytes of the current chunk's data are still to come.
        self._missing = 0
        # What is still to come of the CR LF behind that data.
        self._line_end = b''
        self._has_trailers = False
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """Take what `data` has of the body; return how many bytes.

        Raise HTTPError when the body is malformed, or `write` does.
        """
        place = 0
        while place < len(data) and not self.is_complete:
            if self._missing:
                place = self._take_data(data, place)
            elif self._line_end:
                place = self._take_line_end(data, place)
            elif self._has_trailers:
                place = self._take_trailers(data, place)
            else:
                place = self._take_size(data, place)
        return place

    def _take_data(self, data: bytes, place: int) -> int:
        piece = data[place:place + self._missing]
        self._write(piece)
        self._missing -= len(piece)
        return place + len(piece)

    def _take_line_end(self, data: bytes, place: int) -> int:
        wanted = self._line_end
        found = data[place:place + len(wanted)]
        if not wanted.startswith(found):
            raise malformed('a chunk is not as long as its size')
        self._line_end = wanted[len(found):]
        return place + len(found)

    def _take_size(self, data: bytes, place: int) -> int:
        line, end = self._take_until(b'\r\n', data, place)
        if end < 0:
            if SIZE_BEGINNING(line) is None:
                raise malformed('a chunk has no size')
            return len(data)
        match = SIZE_LINE(line)
        if match is None:
            raise malformed('the size or an extension of a chunk is wrong')
        self._framing = self._counted(len(line))
        self._missing = int(match[1], 16)
        if self._missing:
            self._line_end = b'\r\n'
        else:
            self._has_trailers = True
            # It can begin the empty line.
            self._kept = b'\r\n'
        return end

    def _take_trailers(self, data: bytes, place: int) -> int:
        found, end = self._take_until(END, data, place)
        # In front of the first trailer is the CR LF of the size.
        if found.count(b'\r\n') - 1 - (end >= 0) > (
                self._settings.max_request_fields):
            raise HTTPError(431, 'There are too many trailers.')
        if end < 0:
            if has_bare_ending(found):
                raise malformed('a trailer ends in CR or LF alone')
            return len(data)
        self._framing = self._counted(len(found))
        if found != END:
            self._check_trailers(found[2:])
        self.is_complete = True
        return end

    def _check_trailers(self, trailers: bytes) -> None:
        lines = trailers.decode('latin-1').split('\r\n')
        HeadChecker().check(PRELUDE + trailers, lines)
        for line in lines[:-2]:
            name = line.partition(':')[0]
            if not is_token(name) or name.lower() in FORBIDDEN_TRAILERS:
                raise malformed('a trailer is not allowed')

    def _take_until(self, ending: bytes, data: bytes,
                    place: int) -> tuple[bytes, int]:
        """Return (what has come up to the ending, where it ends in `data`).

        The place is -1 when the ending has not come; the rest is then kept.
        """
        kept, self._kept = self._kept, b''
        if kept:
            # The ending may begin in what is kept.
            joined = kept + data[place:place + len(ending)]
            end = joined.find(ending, max(0, len(kept) - len(ending) + 1))
            if end >= 0:
                end += len(ending)
                return joined[:end], place + end - len(kept)
        end = data.find(ending, place)
        if end >= 0:
            end += len(ending)
            return kept + data[place:end], end
        self._kept = found = kept + data[place:]
        self._counted(len(found))
        return found, -1

    def _counted(self, size: int) -> int:
        """Return what counts with a further line of `size` bytes.

        Raise HTTPError when that is too much.
        """
        counted = self._framing + max(0, size - CHUNK_FRAMING_BYTES)
        if counted > self._settings.max_chunk_framing:
            raise too_long()
        return counted


def malformed(reason: str) -> HTTPError:
    """Return the error of a body that is not what RFC 9112, 7.1, allows."""
    return HTTPError(400, f'The chunked body is malformed: {reason}.')


def too_long() -> HTTPError:
    """Return the error of a body with too much framing."""
    return HTTPError(400, 'Chunk extensions or trailers are too long.')
