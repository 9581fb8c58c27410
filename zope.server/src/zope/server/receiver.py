"""The receiving side of a connection: bytes in, requests out."""
from __future__ import annotations

import re
import time
from collections.abc import Sized
from io import BytesIO
from typing import Any
from typing import Final
from typing import Generic
from typing import TypeVar

from zope.server.body import ChunkedBody
from zope.server.body import LengthBody
from zope.server.body import MustWait
from zope.server.body import PendingBody
from zope.server.body import PreallocatedBody
from zope.server.body import SpooledBody
from zope.server.errors import HTTPError
from zope.server.parser import END
from zope.server.parser import HeadChecker
from zope.server.parser import has_bare_ending
from zope.server.rate import MinimumRate
from zope.server.request import Request
from zope.server.request import read_request
from zope.server.shared import SharedState
from zope.server.tracelog import ENVIRON_KEY
from zope.server.tracelog import Trace

CR: Final = 13
# The most of a request line that the access log shows.
LOGGED_LINE_BYTES: Final = 1000
# A body of which more than this is still to come is received in the buffer
# from which the application reads it.
PREALLOCATED_BYTES: Final = 16384
# The first byte of a method, which is a token (RFC 9110, 5.6.2), or of an
# empty line.
BEGINNING = re.compile(rb"[\w!#$%&'*+.^`|~-]|\r\Z", re.ASCII).match
EMPTY_LINES = re.compile(rb'(?:\r\n)*').match

Body = PreallocatedBody | LengthBody | ChunkedBody
T = TypeVar('T', bound=Request)


class Receiver(Generic[T]):
    """Collects one request at a time.

    It is in one of these states:

    head
        nothing has come, or `feed` keeps the beginning of a head
    waiting
        `feed` has raised MustWait: nothing is to be read until `begin_body`
    body
        `feed` takes the body; while `block` is not None, data is to be put
        into its `space` instead, and `fill` to be called
    complete
        `feed` or `fill` has returned true: `take` is next

    `kept` is the beginning of a head.  What comes after a request stays there;
    ``feed(b'')`` asks for the next.
    `must_continue` says that the client waits for a ``100 Continue``.

    `make` is the class of the requests.  `waiting` has the bodies of other
    connections that wait for memory, before which none is begun.
    """

    __slots__ = ('shared', 'environ', 'must_continue', 'block', '_head',
                 '_checker', 'kept', '_scanned', '_request', '_body',
                 '_rate', '_trace', '_make', '_settings', '_waiting')

    def __init__(self, shared: SharedState, environ: dict[str, Any],
                 make: type[T], waiting: Sized = ()) -> None:
        self._make = make
        self._settings = shared.settings
        self._waiting = waiting
        self.shared = shared
        self.environ = environ
        self.must_continue = False
        self.block: PreallocatedBody | None = None
        self._head = b''
        self._checker = HeadChecker()
        self.kept: bytes | bytearray = b''
        self._scanned = 0
        self._request: T | None = None
        self._body: Body | None = None
        self._rate = MinimumRate()
        self._trace: Trace | None = None

    def has_begun(self) -> bool:
        """Return whether something of a further request is here."""
        return bool(self.kept) or self._request is not None

    @property
    def first_line(self) -> bytes:
        """The request line, as far as it has come."""
        head = self.kept or self._head
        return bytes(head.partition(b'\r\n')[0][:LOGGED_LINE_BYTES])

    def feed(self, data: bytes) -> bool:
        """Take data; return whether a request is complete.

        Raise HTTPError when the data is no request that can be answered, and
        MustWait when there is no memory yet for the body that begins.
        """
        body = self._body
        if body is not None:
            return bool(data) and self._feed_body(body, data)
        if self.shared.trace is not None and self._trace is None:
            self._trace = self.shared.trace.begin()
        found: bytes | bytearray = data
        if self.kept:
            self.kept += data
            found = self.kept
        if found[0] == CR:
            # A server should ignore empty lines before a request line
            # (RFC 9112, 2.2).
            if match := EMPTY_LINES(found):
                found = found[match.end():]
            if not found:
                self.kept, self._scanned = b'', 0
                return False
            # Not 0, with which the time for the head would begin anew.
            self._scanned = min(self._scanned, 1)
        end = found.find(END, self._scanned) + 4
        if end < 4:
            self._keep(found)
            return False
        rest: bytes | bytearray = b''
        if end < len(found):
            found, rest = found[:end], found[end:]
        self.kept = b''
        self._scanned = 0
        self._head = head = (
            found if isinstance(found, bytes) else bytes(found))
        settings = self._settings
        if end > settings.max_request_header_size:
            raise HTTPError(431, 'The header is too long.')
        request = self._request = read_request(
            head, self._checker, self.environ, settings, self._make)
        if request.body_length == 0:
            if rest:
                self.kept = rest
            request.environ['wsgi.input'] = BytesIO()
            if self._trace is not None:
                self._begin_trace(self._trace, request, 0)
            return True
        return self._begin_body(request, bytes(rest))

    def _keep(self, data: bytes | bytearray) -> None:
        """Keep the beginning of a head, as long as it can become one."""
        if not self._scanned:
            self._rate.begin(self.shared.now)
            data = bytearray(data)
        self.kept, self._scanned = data, max(1, len(data) - 3)
        problem = self._problem(data)
        if problem is not None:
            self._head = bytes(data)
            raise problem

    def _problem(self, data: bytes | bytearray) -> HTTPError | None:
        """Return why this can never become a head; None if it can."""
        settings = self._settings
        if not BEGINNING(data):
            # Such as TLS, or a client of something else that was here before:
            # the end of that line need not be waited for.
            return HTTPError(400, 'This is no HTTP request.')
        if has_bare_ending(data):
            return HTTPError(400, 'Lines must end in CR LF.')
        most = settings.max_request_line
        if len(data) > most + 1 and data.find(b'\r\n', 0, most + 2) < 0:
            return HTTPError(414, 'The request line is too long.')
        if len(data) > settings.max_request_header_size:
            return HTTPError(431, 'The header is too long.')
        return None

    def _begin_body(self, request: T, rest: bytes) -> bool:
        """Find the body a place and take `rest`, which came with the head."""
        self._checker.forget()
        self.must_continue = request.expects_continue and not rest
        settings, pool = self._settings, self.shared.buffer_pool
        length = request.body_length
        body: Body | None
        if length is None:
            body = ChunkedBody(SpooledBody(settings, pool), settings)
        elif (PREALLOCATED_BYTES < length - len(rest)
              and length <= min(settings.body_spool_size, pool.limit)):
            pending = PendingBody(length, rest, settings, pool)
            body = None if self._waiting else pending.place()
            if body is None:
                raise MustWait(pending)
        else:
            body = LengthBody(length, SpooledBody(settings, pool))
        self.begin_body(body)
        return bool(rest) and self._feed_body(body, rest)

    def begin_body(self, body: Body) -> None:
        """Receive this body; after MustWait, the one that was found."""
        self._body = body
        self.block = body if isinstance(body, PreallocatedBody) else None
        # Not `shared.now`: a thread of the pool that reads a next request may
        # find it to be old.
        self._rate.begin(time.monotonic())

    def fill(self, block: PreallocatedBody, count: int) -> bool:
        """Note `count` bytes in `block`; return whether all is complete."""
        block.fill(count)
        if block.missing:
            return False
        self.block = None
        return self._end_body(block)

    def _feed_body(self, body: Body, data: bytes) -> bool:
        taken = body.feed(data)
        if not body.is_complete:
            return False
        self.kept = data[taken:]
        return self._end_body(body)

    def _end_body(self, body: Body) -> bool:
        request, store = self._request, body.store
        if request is None:
            raise RuntimeError('there is a body without a request')
        request.environ['CONTENT_LENGTH'] = str(store.size)
        request.environ['wsgi.input'] = store.stream()
        # In this order: until then it is closed with the receiver.
        request.store, self._body = store, None
        if self._trace is not None:
            self._begin_trace(self._trace, request, store.size)
        return True

    def _begin_trace(self, trace: Trace, request: T, size: int) -> None:
        request.trace, self._trace = trace, None
        request.environ[ENVIRON_KEY] = trace
        trace.request_complete(
            request.method, request.environ['REQUEST_URI'], size)

    def take(self) -> T:
        """Return the complete request, which now owns its body."""
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError('no request is complete')
        return request

    def overdue(self, now: float) -> HTTPError | None:
        """Return why a request that has begun is ended; None to wait on."""
        settings = self._settings
        if self._body is not None:
            limit = settings.body_timeout
            size = self._body.store.size
        elif self.kept:
            limit, size = settings.header_timeout, len(self.kept)
        else:
            return None
        if self._rate.is_too_slow(now, size, limit, settings.minimum_rate):
            return HTTPError(408, 'The request has not come in time.')
        return None

    def close(self) -> None:
        """Drop what is here; may be repeated."""
        request, body = self._request, self._body
        self.kept = b''
        self._request = self._body = self.block = None
        if body is not None:
            body.store.close()
        elif request is not None and request.store is not None:
            request.store.close()
