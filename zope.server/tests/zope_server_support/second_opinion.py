"""Where requests end, by this server's receiver and by h11.

`disagreement` is what the property tests and the fuzzing look for: bytes of
which both make a request, but not the same, or in which this server finds a
request where h11 finds none.  That the server refuses more is its intention.
"""
from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable

import h11
from zope.server.errors import HTTPError
from zope.server.receiver import Receiver
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
                    h11.DONE, h11.MIGHT_SWITCH_PROTOCOL))
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
    other = by_h11(data)
    known = other.requests[:len(whole.requests)]
    if whole.requests != known:
        return f'we find {whole}, h11 {other}: {data!r}'
    return ''
