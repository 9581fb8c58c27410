"""Applications that several tests serve."""
from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator

PLAIN = [('Content-Type', 'text/plain')]


def hello(environ, start_response):
    """Answer at once."""
    start_response('200 OK', PLAIN)
    return [b'hello']


def showing(key: str) -> Callable:
    """Return an application that shows a key of its environment."""
    def application(environ, start_response):
        start_response('200 OK', PLAIN)
        return [repr(environ.get(key)).encode()]
    return application


class Gate:
    """An application whose requests wait for `open`."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.idents: set[int] = set()
        self._lock = threading.Lock()
        self._passes = threading.Semaphore(0)

    def __call__(self, environ, start_response):
        if environ['PATH_INFO'] == '/free':
            return hello(environ, start_response)
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.idents.add(threading.get_ident())
        self._passes.acquire()
        with self._lock:
            self.inside -= 1
        start_response('200 OK', PLAIN)
        return [environ['PATH_INFO'].encode()]

    def open(self, count: int = 1) -> None:
        """Let `count` requests through."""
        self._passes.release(count)


class Blocks:
    """An application that sends many blocks, and counts them."""

    def __init__(self, count: int, size: int = 100_000) -> None:
        self.count = count
        self.block = b'x' * size
        self.sent = 0
        self.closed = 0

    def __call__(self, environ, start_response):
        if environ['PATH_INFO'] == '/hello':
            return hello(environ, start_response)
        start_response('200 OK', PLAIN)
        return self.parts()

    def parts(self) -> Iterator[bytes]:
        try:
            for _ in range(self.count):
                self.sent += 1
                yield self.block
        finally:
            self.closed += 1
