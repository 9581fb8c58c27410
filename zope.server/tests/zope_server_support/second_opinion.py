"""Where requests end, by this server's receiver and by h11.

`disagreement` is what the property tests and the fuzzing look for: bytes of
which both make a request, but not the same, or in which this server finds a
request where h11 finds none.  That the server refuses more is its intention.

llhttp only checks heads, and the server splits them.  So each head that the
server takes is split by llhttp's callbacks, too: the fields must be the same.
"""
from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Iterable
from typing import Any

import h11
import httptools
from zope.server.errors import HTTPError
from zope.server.parser import END
from zope.server.parser import HeadChecker
from zope.server.receiver import Receiver
from zope.server.request import Request
from zope.server.request import read_request
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope.server.task import Task

# h11 does not know of white space before a chunk extension (RFC 9112, 7.1.1).
h11._readers.chunk_header_re = re.compile(
    h11._readers.chunk_header_re.pattern.replace(
        b'(?P<chunk_ext>;', rb'(?P<chunk_ext>[ \t]*;'))
EMPTY_LINES = functools.partial(re.compile(rb'\A(?:\r\n)+').sub, b'')
SETTINGS = Settings(max_request_body_size=100_000, body_spool_size=1000,
                    max_chunk_framing=2000)


@dataclasses.dataclass(frozen=True)
class Found:
    """Requests that were found in some bytes, and the error at their end.

    `requests` are (method, target, body); `refusal` is a status, 0 for none.
    """

    requests: tuple[tuple[str, str, bytes], ...]
    refusal: int = 0


class Split(Request):
    """A request that keeps how its head was split, before it is framed."""

    def __init__(self, environ: dict[str, Any], method: str, minor: int,
                 target: str) -> None:
        super().__init__(environ, method, minor, target)
        self.fields = {key: value for key, value in environ.items()
                       if key.startswith(('HTTP_', 'CONTENT_'))}


class ByLlhttp:
    """A head, split by the callbacks of llhttp."""

    def __init__(self, head: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.url = b''
        self.heads = 0
        parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(httptools.HttpParserUpgrade):
            parser.feed_data(head)
        self.method = parser.get_method().decode()

    def on_url(self, data: bytes) -> None:
        """Take some of the target."""
        self.url += data

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, as PEP 3333 and this server have it."""
        key = name.decode('ascii').upper().replace('-', '_')
        if b'_' in name or key == 'PROXY':
            return
        if key not in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
            key = f'HTTP_{key}'
        text = value.rstrip(b' \t').decode('latin-1')
        if key in self.fields:
            joint = '; ' if key == 'HTTP_COOKIE' else ', '
            text = self.fields[key] + joint + text
        self.fields[key] = text

    def on_headers_complete(self) -> None:
        """Count a head."""
        self.heads += 1


def split_difference(head: bytes) -> str:
    """Return how this server splits a head otherwise than llhttp, or ``''``.

    A head that either refuses is split by none.
    """
    try:
        ours = read_request(head, HeadChecker(), {}, SETTINGS, Split)
    except HTTPError:
        return ''
    line, rest = head.split(b'\r\n', 1)
    try:
        other = ByLlhttp(head)
        wanted = other.method, other.url.decode()
    except httptools.HttpParserError:
        # It knows neither all methods nor later versions.
        other = ByLlhttp(b'POST / HTTP/1.1\r\n' + rest)
        wanted = ours.method, ours.target
    if not ours.target.startswith('/') and 'HTTP_HOST' in ours.fields:
        # The target's host counts.
        other.fields['HTTP_HOST'] = ours.fields['HTTP_HOST']
    if (other.heads, wanted, other.fields) == (
            1, (ours.method, ours.target), ours.fields):
        return ''
    return (f'we split {ours.method} {ours.target} {ours.fields}, llhttp'
            f' {other.heads} of {wanted} {other.fields}: {head!r}')


def by_receiver(pieces: Iterable[bytes]) -> Found:
    """Return what this server's receiver finds."""
    shared = SharedState(lambda *args: [], ('host', 80), SETTINGS)
    receiver = Receiver(shared, shared.environ, Task)
    requests = []
    try:
        for piece in pieces:
            is_complete = bool(piece) and receiver.feed(piece)
            while is_complete:
                task = receiver.take()
                requests.append((task.method, task.environ['REQUEST_URI'],
                                 task.environ['wsgi.input'].read()))
                if task.store is not None:
                    task.store.close()
                if not task.keep_alive:
                    return Found(tuple(requests))
                is_complete = receiver.has_begun() and receiver.feed(b'')
    except HTTPError as error:
        return Found(tuple(requests), error.status)
    finally:
        receiver.close()
    return Found(tuple(requests))


def is_kept(request: h11.Request) -> bool:
    """Return whether HTTP/1.0 asks to keep the connection.

    h11 does not know of that (RFC 9112, 9.3).
    """
    found = [token.strip(b' \t') for name, value in request.headers
             if name == b'connection' for token in value.lower().split(b',')]
    return (request.http_version == b'1.0' and b'keep-alive' in found
            and b'close' not in found)


def by_h11(data: bytes) -> Found:
    """Return what h11 finds."""
    requests = []
    goes_on = True
    try:
        while goes_on:
            # Unlike the receiver, h11 does not skip empty lines.
            data = EMPTY_LINES(data)
            connection = h11.Connection(h11.SERVER, 2 ** 20)
            connection.receive_data(data)
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                break
            body = b''
            while isinstance(part := connection.next_event(), h11.Data):
                body += part.data
            if not isinstance(part, h11.EndOfMessage):
                break
            requests.append((request.method.decode(),
                             request.target.decode('latin-1'), body))
            # Or an upgrade, which the receiver ignores.
            goes_on = request.method != b'CONNECT' and (
                connection.their_state in (
                    h11.DONE, h11.MIGHT_SWITCH_PROTOCOL)
                or is_kept(request))
            data = connection.trailing_data[0]
    except h11.RemoteProtocolError as error:
        return Found(tuple(requests), error.error_status_hint)
    return Found(tuple(requests))


def disagreement(data: bytes, pieces: Iterable[bytes]) -> str:
    """Return what is wrong, or ``''``; `pieces` are `data`, cut somehow."""
    whole = by_receiver([data])
    cut = by_receiver(pieces)
    if (cut.requests, cut.refusal > 0) != (whole.requests, whole.refusal > 0):
        return f'in pieces {cut}, at once {whole}: {data!r}'
    for head in data.split(END):
        problem = split_difference(EMPTY_LINES(head + END))
        if problem:
            return problem
    other = by_h11(data)
    known = other.requests[:len(whole.requests)]
    if whole.requests != known:
        return f'we find {whole}, h11 {other}: {data!r}'
    return ''
