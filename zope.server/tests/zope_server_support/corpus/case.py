"""A case of the corpus, and the requests that cases are made of."""
from __future__ import annotations

import dataclasses
from typing import Any

# How a connection ends: it goes on, in step with the client; it is closed
# after the last response; it is reset, so that the client sees the damage.
OPEN, CLOSED, RESET = 'open', 'closed', 'reset'


@dataclasses.dataclass(frozen=True)
class Case:
    """What is sent, and what must come of it.

    name
        unique
    send
        the pieces, each sent by itself
    statuses
        those of the responses, 100 included
    seen
        what reaches the application, ``METHOD PATH[?QUERY][ BODY]`` each
    ends
        OPEN, CLOSED or RESET
    environ
        what the first request's environment contains; None: lacks
    has, lacks
        what the raw output contains, or must not contain
    bodies
        of the responses, where that matters
    is_cut
        whether the last response breaks off
    half_close
        whether the client ends its side after sending
    severe
        whether the wrong answer is a way to harm: smuggling, injection,
        denial of service
    """

    name: str
    send: tuple[bytes, ...]
    statuses: tuple[int, ...]
    seen: tuple[str, ...] = ()
    ends: str = OPEN
    environ: dict[str, Any] = dataclasses.field(default_factory=dict)
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    bodies: tuple[bytes, ...] | None = None
    is_cut: bool = False
    half_close: bool = False
    severe: bool = False


HOST = b'Host: example.com\r\n'


def good(name: str, send: bytes | tuple[bytes, ...], *seen: str,
         **more: Any) -> Case:
    """Return a case in which every request is answered with 200."""
    pieces = send if isinstance(send, tuple) else (send,)
    more.setdefault('statuses', (200,) * len(seen))
    return Case(name, pieces, seen=seen, **more)


def bad(name: str, send: bytes | tuple[bytes, ...], status: int = 400,
        **more: Any) -> Case:
    """Return a case in which a request is refused, and the connection ends."""
    pieces = send if isinstance(send, tuple) else (send,)
    more.setdefault('ends', CLOSED)
    seen = more.pop('seen', ())
    return Case(name, pieces, (200,) * len(seen) + (status,), seen=seen,
                **more)


def get(fields: bytes = b'', target: bytes = b'/',
        version: bytes = b'HTTP/1.1') -> bytes:
    """Return a GET request."""
    return b'GET %b %b\r\n%b%b\r\n' % (target, version, HOST, fields)


def post(fields: bytes = b'', body: bytes = b'') -> bytes:
    """Return a POST request; `fields` say how long the body is."""
    return b'POST / HTTP/1.1\r\n%b%b\r\n%b' % (HOST, fields, body)


def in_chunks(chunks: bytes) -> bytes:
    """Return a POST request with a chunked body."""
    return post(b'Transfer-Encoding: chunked\r\n', chunks)


NEXT = get(target=b'/next')
SMUGGLED = b'GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n'
