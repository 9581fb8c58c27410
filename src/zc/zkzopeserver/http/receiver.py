"""The receiving side of a connection: bytes in, requests out."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver.http.body import ChunkedBody
from zc.zkzopeserver.http.body import LengthBody
from zc.zkzopeserver.http.body import Store
from zc.zkzopeserver.http.body import empty
from zc.zkzopeserver.http.errors import Refusal
from zc.zkzopeserver.http.parser import END
from zc.zkzopeserver.http.parser import HeadParser
from zc.zkzopeserver.http.request import Request
from zc.zkzopeserver.http.request import read
from zc.zkzopeserver.http.tracelog import ENVIRON_KEY

if TYPE_CHECKING:
    from zc.zkzopeserver.http.context import Context

CR = 13
EMPTY_LINES = re.compile(rb'(?:\r\n)*').match


class Receiver:
    """Collects one request at a time.

    What comes after a request stays here until that has been taken and the
    next is asked for with ``feed(b'')``.
    """

    __slots__ = ('context', 'environ', 'must_continue', 'first_line',
                 '_parser', '_buffer', '_scanned', '_request', '_body',
                 '_began', '_trace')

    def __init__(self, context: Context, environ: dict[str, Any]) -> None:
        self.context = context
        self.environ = environ
        self.must_continue = False
        self.first_line = b''
        self._parser = HeadParser()
        self._buffer: bytes | bytearray = b''
        self._scanned = 0
        self._request: Request | None = None
        self._body: LengthBody | ChunkedBody | None = None
        self._began = 0.0
        self._trace: Any = None

    @property
    def has_begun(self) -> bool:
        """Whether something of a further request is here."""
        return bool(self._buffer) or self._request is not None

    @property
    def is_head_request(self) -> bool:
        """Whether the answer must not have a body."""
        return self.first_line.startswith(b'HEAD ')

    def feed(self, data: bytes) -> bool:
        """Take data; whether a request is complete.

        Refusal when what has come is not a request that can be answered.
        """
        if self._request is None:
            return self._feed_head(data)
        return self._feed_body(data)

    def _feed_head(self, data: bytes) -> bool:
        if self._trace is None and self.context.trace is not None:
            self._trace = self.context.trace.begin()
        if self._buffer:
            self._buffer += data
            data = self._buffer
        if data[0] == CR:
            # Empty lines before a request are to be ignored.
            data = data[EMPTY_LINES(data).end():]
            self._scanned = 0
        end = data.find(END, max(0, self._scanned - 3))
        settings = self.context.settings
        if end < 0:
            self._keep(data)
            return False
        end += 4
        self.first_line = bytes(data[:data.find(b'\r\n')])
        if end > settings.max_request_header_size:
            raise Refusal(431, 'The header is too long.')
        head = bytes(data[:end]) if end < len(data) else bytes(data)
        rest = bytes(data[end:])
        self._buffer, self._scanned = b'', 0
        request = read(head, self._parser, self.environ, settings)
        return self._begin_body(request, rest)

    def _keep(self, data: bytes | bytearray) -> None:
        """Keep the beginning of a head, as long as it can become one."""
        settings = self.context.settings
        if not self._buffer:
            self._began = self.context.now
            data = bytearray(data)
        self._buffer, self._scanned = data, len(data)
        if len(data) > settings.max_request_line + 100:
            line = data.find(b'\r\n')
            self.first_line = bytes(data[:max(line, 0) or 1000])
            if line < 0:
                raise Refusal(414, 'The request line is too long.')
        if len(data) > settings.max_request_header_size:
            raise Refusal(431, 'The header is too long.')

    def _begin_body(self, request: Request, rest: bytes) -> bool:
        self._request = request
        if request.length == 0:
            request.environ['wsgi.input'] = empty()
            self._buffer = rest
            return self._complete()
        self._parser.forget()
        settings = self.context.settings
        store = Store(settings, self.context.memory)
        if request.length is None:
            self._body = ChunkedBody(store, settings)
        else:
            self._body = LengthBody(request.length, store)
        self._began = self.context.now
        if rest:
            return self._feed_body(rest)
        self.must_continue = request.expects_continue
        return False

    def _feed_body(self, data: bytes) -> bool:
        body = self._body
        taken = body.feed(data)
        if not body.is_complete:
            return False
        self._buffer = data[taken:]
        environ = self._request.environ
        environ['CONTENT_LENGTH'] = str(body.store.size)
        environ['wsgi.input'] = body.store.stream()
        return self._complete()

    def _complete(self) -> bool:
        if self._trace is not None:
            request, trace = self._request, self._trace
            body = self._body
            request.trace, self._trace = trace, None
            request.environ[ENVIRON_KEY] = trace
            trace.request_complete(
                request.method, request.environ['REQUEST_URI'],
                body.store.size if body is not None else 0)
        return True

    def take_request(self) -> tuple[Request, Store | None]:
        """The complete request, and where its body is kept."""
        request, self._request = self._request, None
        body, self._body = self._body, None
        return request, body.store if body is not None else None

    def overdue(self, now: float) -> Refusal | None:
        """Why what has begun is not waited for any longer, if so."""
        settings = self.context.settings
        if self._body is not None:
            limit = settings.body_timeout
            size = self._body.store.size
        elif self._buffer:
            limit, size = settings.header_timeout, len(self._buffer)
        else:
            return None
        if now - self._began > limit + size / settings.minimum_rate:
            return Refusal(408, 'The request has not come in time.')
        return None

    def close(self) -> None:
        """Let go of what is here."""
        self._buffer = b''
        self._request = None
        if self._body is not None:
            self._body.store.close()
            self._body = None
