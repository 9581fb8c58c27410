"""The receiving side of a connection: bytes in, requests out."""
from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from typing import Any

from zope.server.body import ChunkedBody
from zope.server.body import LengthBody
from zope.server.body import PreallocatedBody
from zope.server.body import SpooledBody
from zope.server.body import empty
from zope.server.errors import HTTPError
from zope.server.parser import END
from zope.server.parser import HeadParser
from zope.server.rate import MinimumRate
from zope.server.request import read
from zope.server.tracelog import ENVIRON_KEY

if TYPE_CHECKING:
    from zope.server.shared import SharedState
    from zope.server.task import Task

CR = 13
LINE_BYTES = 1000
# From that on it pays to receive a body in its final place.
PREALLOCATED_BYTES = 16384
# A body that finds no room in memory waits so long for some, unread, before it
# goes to a file: mostly others are complete sooner, and memory is faster.  It
# does not wait where nobody has given any back for so long.
PATIENCE_S = 0.25
# So long for a block that others are about to give back.
BRIEFLY_S = 0.05
# Of a method, which is a token (RFC 9110, 5.6.2), or of an empty line.
BEGINNING = re.compile(rb"[\w!#$%&'*+.^`|~-]|\r\Z", re.ASCII).match
EMPTY_LINES = re.compile(rb'(?:\r\n)*').match


class Receiver:
    """Collects one request at a time.

    What comes after a request stays here until that has been taken and the
    next is asked for with ``feed(b'')``.  While there is a `block`, data is to
    be put into its space instead, and `fill` called; while it `must_wait`,
    nothing is to be read.
    """

    __slots__ = ('shared', 'environ', 'must_continue', 'block', '_head',
                 '_parser', '_buffer', '_scanned', '_request', '_body',
                 '_began', '_rate', '_trace', '_make', '_settings',
                 'must_wait', '_rest')

    def __init__(self, shared: SharedState, environ: dict[str, Any],
                 make: type[Task]) -> None:
        self._make = make
        self._settings = shared.settings
        self.shared = shared
        self.environ = environ
        self.must_continue = False
        self.must_wait = False
        self._rest = b''
        self.block: PreallocatedBody | None = None
        self._head = b''
        self._parser = HeadParser()
        self._buffer: bytes | bytearray = b''
        self._scanned = 0
        self._request: Task | None = None
        self._body: PreallocatedBody | LengthBody | ChunkedBody | None = None
        # When the body began.
        self._began = 0.0
        self._rate = MinimumRate()
        self._trace: Any = None

    def has_begun(self) -> bool:
        """Whether something of a further request is here."""
        return bool(self._buffer) or self._request is not None

    @property
    def first_line(self) -> bytes:
        """The request line, as far as it has come."""
        return (self._buffer or self._head).partition(b'\r\n')[0][:LINE_BYTES]

    def feed(self, data: bytes) -> bool:
        """Take data; whether a request is complete.

        HTTPError when what has come is not a request that can be answered.
        """
        if self._request is not None:
            return bool(data) and self._feed_body(data)
        if self._trace is None and self.shared.trace is not None:
            self._trace = self.shared.trace.begin()
        if self._buffer:
            self._buffer += data
            data = self._buffer
        if data[0] == CR:
            # Empty lines before a request are to be ignored.
            data = data[EMPTY_LINES(data).end():]
            if not data:
                self._buffer, self._scanned = b'', 0
                return False
            # Not 0, with which the time for the head would begin anew.
            self._scanned = min(self._scanned, 1)
        end = data.find(END, self._scanned)
        if end < 0:
            self._keep(data)
            return False
        end += 4
        rest: bytes | bytearray = b''
        if end < len(data):
            data, rest = data[:end], data[end:]
        self._buffer = b''
        self._scanned = 0
        self._head = head = bytes(data)
        settings = self._settings
        if end > settings.max_request_header_size:
            raise HTTPError(431, 'The header is too long.')
        request = self._request = read(head, self._parser, self.environ,
                                       settings, self._make)
        if request.body_length == 0:
            self._buffer = rest
            request.environ['wsgi.input'] = empty()
            if self._trace is not None:
                self._complete(0)
            return True
        return self._begin_body(bytes(rest))

    def _keep(self, data: bytes | bytearray) -> None:
        """Keep the beginning of a head, as long as it can become one."""
        if not self._scanned:
            self._rate.begin(self.shared.now)
            data = bytearray(data)
        self._buffer, self._scanned = data, max(1, len(data) - 3)
        problem = self._problem(data)
        if problem is not None:
            self._head = bytes(data)
            raise problem

    def _problem(self, data: bytes | bytearray) -> HTTPError | None:
        """Why this can never become a head, if so."""
        settings = self._settings
        if not BEGINNING(data):
            # Such as TLS, or a client of something else that was here before:
            # nobody waits for the end of that line.
            return HTTPError(400, 'This is no HTTP request.')
        if data.count(b'\n') != data.count(b'\r\n'):
            return HTTPError(400, 'Lines must end in CR LF.')
        most = settings.max_request_line
        if len(data) > most + 1 and data.find(b'\r\n', 0, most + 2) < 0:
            return HTTPError(414, 'The request line is too long.')
        if len(data) > settings.max_request_header_size:
            return HTTPError(431, 'The header is too long.')
        return None

    def _begin_body(self, rest: bytes) -> bool:
        request, length = self._request, self._request.body_length
        self._parser.forget()
        # A worker that looks for a next request has no other clock.
        self._began = time.monotonic()
        self._rate.begin(self._began)
        self.must_continue = request.expects_continue and not rest
        settings = self._settings
        if length is None:
            store = SpooledBody(settings, self.shared.buffer_pool)
            self._body = ChunkedBody(store, settings)
        elif (PREALLOCATED_BYTES < length - len(rest)
              and length <= self._most_in_memory):
            self._rest = rest
            if self.shared.waiting or not self._begin_storing():
                self.must_wait = True
                return False
            rest = self._take_rest()
        else:
            self._into_file()
        return bool(rest) and self._feed_body(rest)

    @property
    def _most_in_memory(self) -> int:
        return min(self._settings.body_spool_size,
                   self.shared.buffer_pool.limit)

    def _begin_storing(self) -> bool:
        """Find the body a place; False when it is to wait for one.

        That is a block of memory, or a file when it has waited for that, or
        would do so for nothing.
        """
        memory, length = self.shared.buffer_pool, self._request.body_length
        now = time.monotonic()
        if now < BRIEFLY_S + self._began and memory.should_wait(length, now):
            return False
        found = memory.block(length)
        if found is not None:
            block = self.block = self._body = PreallocatedBody(
                length, memory, found)
            rest = self._take_rest()
            block.space()[:len(rest)] = rest
            block.fill(len(rest))
            return True
        if now < PATIENCE_S + min(self._began, memory.last_release):
            return False
        self._into_file()
        return True

    def _take_rest(self) -> bytes:
        """What has come of the body behind the head, the first time."""
        rest, self._rest = self._rest, b''
        return rest

    def _into_file(self) -> None:
        self._body = LengthBody(self._request.body_length, SpooledBody(
            self._settings, self.shared.buffer_pool))

    def end_wait(self) -> bytes | None:
        """After `must_wait`: what to `feed` now; None while it must go on."""
        if not self._begin_storing():
            return None
        # Until now nobody has read what the client sends.
        self._rate.begin(self.shared.now)
        self.must_wait = False
        return self._take_rest()

    def fill(self, count: int) -> bool:
        """So much was put into `block`; whether a request is complete."""
        self.block.fill(count)
        if self.block.missing:
            return False
        self.block = None
        return self._end_body()

    def _feed_body(self, data: bytes) -> bool:
        body = self._body
        taken = body.feed(data)
        if not body.is_complete:
            return False
        self._buffer = data[taken:]
        return self._end_body()

    def _end_body(self) -> bool:
        body, environ = self._body, self._request.environ
        environ['CONTENT_LENGTH'] = str(body.store.size)
        environ['wsgi.input'] = body.store.stream()
        if self._trace is not None:
            self._complete(body.store.size)
        return True

    def _complete(self, size: int) -> None:
        request, trace = self._request, self._trace
        request.trace, self._trace = trace, None
        request.environ[ENVIRON_KEY] = trace
        trace.request_complete(
            request.method, request.environ['REQUEST_URI'], size)

    def take(self) -> Task:
        """The complete request, which now owns its body."""
        task, self._request = self._request, None
        if self._body is not None:
            task.store, self._body = self._body.store, None
        return task

    def overdue(self, now: float) -> HTTPError | None:
        """Why what has begun is not waited for any longer, if so."""
        settings = self._settings
        if self._body is not None:
            limit = settings.body_timeout
            size = self._body.store.size
        elif self._buffer:
            limit, size = settings.header_timeout, len(self._buffer)
        else:
            return None
        if self._rate.is_too_slow(now, size, limit, settings.minimum_rate):
            return HTTPError(408, 'The request has not come in time.')
        return None

    def close(self) -> None:
        """Let go of what is here."""
        self._buffer = b''
        self._request = self.block = None
        if self._body is not None:
            self._body.store.close()
            self._body = None
