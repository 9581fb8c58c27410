"""Clients that count what they ask for, to compare with what a server counts.

Each kind of request ends in one way only, whatever the machine does: answered,
refused, or cut.
"""
from __future__ import annotations

import dataclasses
import random
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from zope.server.metrics import Measures

from zope_server_support.talking import RESET
from zope_server_support.talking import Client

BLOCK = b'x' * 2 ** 20
# More than sockets and the server keep for a client that does not read.
BLOCKS = 64


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with the status of the path, many blocks, or not to the end."""
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/fails':
        raise RuntimeError('as the test asks for it')
    status = path[1:] if path[1:].isdigit() else '200'
    fields = [('Content-Type', 'text/plain')]
    if path == '/short':
        fields.append(('Content-Length', '100'))
    start_response(f'{status} Some', fields)
    if path == '/blocks':
        return (BLOCK for _ in range(BLOCKS))
    if path == '/block':
        return [b'x' * int(query)]
    if path == '/breaks':
        return breaking()
    return [] if status in ('204', '304') else [b'hello']


def breaking() -> Any:
    """Yield a block and fail."""
    yield b'hello'
    raise RuntimeError('as the test asks for it')


@dataclasses.dataclass
class Counts:
    """What clients have seen, or a server has counted."""

    requests: Counter[tuple[str, int]] = dataclasses.field(
        default_factory=Counter)
    refused: Counter[int] = dataclasses.field(default_factory=Counter)
    cut: int = 0
    connections: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(self.requests + other.requests,
                      self.refused + other.refused,
                      self.cut + other.cut,
                      self.connections + other.connections)

    @classmethod
    def of(cls, measures: Measures | None) -> Counts:
        """Return what a server has counted."""
        assert measures is not None
        return cls(Counter(measures.requests), Counter(measures.refused),
                   measures.cut, measures.accepted)


class Asking:
    """A client with a connection, which is opened again after each end."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.counts = Counts()
        self._client: Client | None = None

    def client(self) -> Client:
        """Return the connection."""
        if self._client is None:
            self._client = Client(self.address)
            self.counts.connections += 1
        return self._client

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            self._client.sock.close()
            self._client = None

    def answered(self, method: str, path: str, expected: int) -> None:
        """Ask for something that is answered."""
        client = self.client()
        client.send(f'{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        if method == 'HEAD':
            while b'\r\n\r\n' not in client.raw:
                client.receive()
            status = int(client.raw.split()[1])
            client.raw = b''
        else:
            status = client.response().status
        assert status == expected
        self.counts.requests[method, status] += 1
        if expected == 500:
            self.close()

    def refused(self, request: bytes, expected: int) -> None:
        """Send what the server refuses."""
        client = self.client()
        client.send(request)
        assert client.response().status == expected
        self.counts.refused[expected] += 1
        self.close()

    def broken(self, path: str) -> None:
        """Ask for a response that the application does not finish."""
        client = self.client()
        client.send(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        try:
            found = client.read_all()
        except ConnectionError:
            found = client.raw
        assert found.startswith(b'HTTP/1.1 200') or not found
        self.counts.requests['GET', 200] += 1
        self.counts.cut += 1
        self.close()

    def left(self) -> None:
        """Leave in the middle of a large response."""
        client = self.client()
        client.send(b'GET /blocks HTTP/1.1\r\nHost: x\r\n\r\n')
        while not client.raw:
            client.receive()
        assert client.raw.startswith(b'HTTP/1.1 200')
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.counts.requests['GET', 200] += 1
        self.counts.cut += 1
        self.close()


def clients(address: tuple[str, int], count: int, seed: int) -> Counts:
    """Send `count` requests of all kinds; return what came of them."""
    chance, asking = random.Random(seed), Asking(address)
    usual: list[Callable[[], None]] = [
        lambda: asking.answered('GET', '/', 200),
        lambda: asking.answered('POST', '/201', 201),
        lambda: asking.answered('HEAD', '/', 200),
        lambda: asking.answered('GET', '/304', 304),
        lambda: asking.answered('DELETE', '/404', 404)]
    others: list[Callable[[], None]] = [
        lambda: asking.answered('GET', '/fails', 500),
        lambda: asking.refused(b'no request\r\n\r\n', 400),
        lambda: asking.refused(
            b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n'
            b'\r\n', 413),
        lambda: asking.refused(b'GET / HTTP/7.5\r\nHost: x\r\n\r\n', 505),
        lambda: asking.broken('/breaks'),
        lambda: asking.broken('/short'),
        asking.left]
    for _ in range(count):
        chance.choice(others if chance.random() < .2 else usual)()
    asking.close()
    return asking.counts
