"""Talking to a server in tests: raw bytes, keep-alive clients, waiting."""
from __future__ import annotations

import contextlib
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from unittest import mock

from zope.server import engine
from zope.server.server import Server

from zope_server_support.corpus.case import get
from zope_server_support.corpus.running import Response
from zope_server_support.corpus.running import read_response

TIMEOUT = 20.0
RESET = struct.pack('ii', 1, 0)


def until(condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """Return what a condition returns once that is true.

    Raise AssertionError if it is not within `timeout` seconds, without those
    in which a machine that is too busy did not run this process.
    """
    deadline, interval = time.monotonic() + timeout, 0.005
    while not (found := condition()):
        asleep = time.monotonic()
        assert asleep < deadline, f'{condition} stays {found!r}'
        time.sleep(interval)
        deadline += time.monotonic() - asleep - interval
    return found


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir('/proc/self/fd'))


@contextlib.contextmanager
def serving(application: Callable, **options: Any) -> Iterator[Server]:
    """Yield a running server, which must leave nothing behind."""
    options.setdefault('host', '127.0.0.1')
    threads, files = set(threading.enumerate()), descriptors()
    server = Server(application, **options)
    try:
        server.start()
        yield server
    finally:
        # A thread that a slow machine keeps from ending is not stuck.
        with mock.patch.object(engine, 'JOIN_S', TIMEOUT):
            server.close()
    until(lambda: set(threading.enumerate()) <= threads)
    until(lambda: descriptors() <= files)


class Client:
    """A connection; what it receives is read as responses."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(
            (address[0] or '127.0.0.1', address[1]), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = b''
        self.is_over = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def receive(self) -> bool:
        """Read some data; return whether there was any."""
        data = self.sock.recv(2 ** 20)
        self.raw += data
        self.is_over = not data
        return bool(data)

    def response(self) -> Response:
        """Return the next response; raise ConnectionError if there is none."""
        while True:
            found = read_response(self.raw, False, self.is_over)
            if found is not None and found[0].is_complete:
                response, self.raw = found
                return response
            if self.is_over:
                raise ConnectionError(f'closed after {self.raw[-200:]!r}')
            self.receive()

    def get(self, target: bytes = b'/', fields: bytes = b'') -> Response:
        """Send a GET request; return the response."""
        self.send(get(fields, target))
        return self.response()

    def body(self) -> bytes:
        """Return the body of the next response, which may be large."""
        assert not self.raw
        response = http.client.HTTPResponse(self.sock)
        response.begin()
        return response.read()

    def read_all(self) -> bytes:
        """Return all data up to the end of the connection."""
        while not self.is_over and self.receive():
            pass
        return self.raw


def ask(address: tuple[str, int], target: bytes = b'/') -> Response:
    """Send a GET request on a connection of its own."""
    with Client(address) as client:
        return client.get(target, b'Connection: close\r\n')


def reset(client: Client) -> None:
    """Reset the connection."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.sock.close()
