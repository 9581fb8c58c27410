"""An application behind zope.server and behind waitress, and their answers."""
from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from webtest.http import StopableWSGIServer
from zope.server import Server

THREADS = 4
TIMEOUT_S = 30

# Headers that are to differ.
IGNORED = 'date', 'server'


class Answer(NamedTuple):
    """A response: its status line, its headers, sorted, and its body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Beside:
    """Addresses of one application behind both servers."""

    def __init__(self, here: tuple[str, int],
                 waitress: tuple[str, int]) -> None:
        self.here = here
        self.waitress = waitress

    def answers(self, request: bytes) -> tuple[Answer, Answer]:
        """Return what zope.server and waitress answer to the same bytes."""
        return ask(self.here, request), ask(self.waitress, request)


@contextlib.contextmanager
def zope_served(application: Any, **settings: Any
                ) -> Iterator[tuple[str, int]]:
    """Serve by zope.server; yield the address."""
    server = Server(application, host='127.0.0.1', threads=THREADS,
                    **settings)
    server.start()
    try:
        yield server.address
    finally:
        server.close()


@contextlib.contextmanager
def waitress_served(application: Any, **settings: Any
                    ) -> Iterator[tuple[str, int]]:
    """Serve by waitress; yield the address."""
    server = StopableWSGIServer.create(application, host='127.0.0.1',
                                       threads=THREADS,
                                       expose_tracebacks=False, **settings)
    try:
        yield '127.0.0.1', server.effective_port
    finally:
        server.shutdown()


@contextlib.contextmanager
def beside(application: Any) -> Iterator[Beside]:
    """Serve an application by both."""
    with zope_served(application) as here, \
            waitress_served(application) as waitress:
        yield Beside(here, waitress)


def sized(application: Any) -> Any:
    """Return the application, which gets an input that reads by sizes.

    Werkzeug reads a body without a size where the server says
    ``wsgi.input_terminated``; wsgiref.validate takes that for an error.
    """
    def called(environ: dict[str, Any], start_response: Any) -> Any:
        environ['wsgi.input'] = _Sized(environ['wsgi.input'])
        return application(environ, start_response)

    return called


class _Sized:
    def __init__(self, checked: Any) -> None:
        self._checked = checked
        self.readline = checked.readline
        self.readlines = checked.readlines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._checked)

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            return self._checked.read(size)
        return b''.join(iter(lambda: self._checked.read(1 << 16), b''))


def ask(address: tuple[str, int], request: bytes) -> Answer:
    """Send bytes over a connection of their own; return the response.

    ``100 Continue`` before it is left out.
    """
    with socket.create_connection(address, TIMEOUT_S) as sock:
        sock.sendall(request)
        response = http.client.HTTPResponse(
            sock, method=request.split(b' ', 1)[0].decode())
        response.begin()
        body = response.read()
        headers = sorted((name.lower(), value)
                         for name, value in response.getheaders()
                         if name.lower() not in IGNORED)
        version = {10: '1.0', 11: '1.1'}[response.version]
        return Answer(f'HTTP/{version} {response.status} {response.reason}',
                      tuple(headers), body)


def differing(here: Answer, waitress: Answer) -> list[tuple[str, str, str]]:
    """Return what differs, (name, here, waitress), in a fixed order.

    Names are ``status``, ``body``, and those of headers, in lower case.  The
    length of bodies that differ is no difference of its own.
    """
    found = []
    if here.status != waitress.status:
        found.append(('status', here.status, waitress.status))
    ours, theirs = joined(here), joined(waitress)
    if here.body != waitress.body:
        if all(answer.body and headers.get('content-length') == str(len(
                answer.body)) for answer, headers in ((here, ours),
                                                    (waitress, theirs))):
            del ours['content-length'], theirs['content-length']
        found.append(('body', repr(here.body[:500]),
                      repr(waitress.body[:500])))
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            found.append((name, ours.get(name, ''), theirs.get(name, '')))
    return found


def joined(answer: Answer) -> dict[str, str]:
    """Return the headers by name, with the values of each joined."""
    found: dict[str, list[str]] = {}
    for name, value in answer.headers:
        found.setdefault(name, []).append(value)
    return {name: '\n'.join(values) for name, values in found.items()}
