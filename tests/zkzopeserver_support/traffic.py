"""Clients that find servers in ZooKeeper, and count failed requests.

Each client does what is fair to ask of a client, and no more:

- It sends to an address that it sees in ZooKeeper at that moment.
- It keeps its connection, and closes it after ``Connection: close``.  Before
  a request it looks whether the server has closed the connection.
- It sends each request once, GET as well as POST, and never again.  A
  request has failed when the connection is refused or reset, or ends without
  an answer, and when status or content are not as they should be.

Every second client leaves its connection when the address has gone from
ZooKeeper, and after SPELL requests, to spread its load.  The other half stay
until the server closes, as a proxy without ZooKeeper does.
"""
from __future__ import annotations

import collections
import http.client
import random
import select
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence

# Requests on one connection of a client that spreads its load.
SPELL = 100
TIMEOUT_S = 15
BODY = b'x' * 500


class Traffic:
    """Clients, each with a connection and a thread of its own.

    `addresses` returns the addresses in ZooKeeper, as ``HOST:PORT``.  The
    clients send requests while a ``with`` block runs, with a pause of
    `pause_s` seconds between two of one client.
    """

    def __init__(self, addresses: Callable[[], Sequence[str]],
                 connections: int = 32, pause_s: float = 0) -> None:
        self.addresses = addresses
        self.pause_s = pause_s
        #: The number of answers, by the words before the body.
        self.answers: collections.Counter[str] = collections.Counter()
        #: A line for each failed request.
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._clients = [Client(self, is_sticky=bool(number % 2))
                         for number in range(connections)]

    @property
    def total(self) -> int:
        """The number of requests sent, whether answered or failed."""
        return sum(client.sent for client in self._clients)

    def __enter__(self) -> Traffic:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopping.set()
        for client in self._clients:
            client.join()


class Client(threading.Thread):
    """A client that sends one request after another."""

    def __init__(self, traffic: Traffic, is_sticky: bool) -> None:
        super().__init__(name='traffic', daemon=True)
        self.sent = 0
        self._traffic = traffic
        self._is_sticky = is_sticky
        self._connection: http.client.HTTPConnection | None = None
        self._address = ''
        self._spell = 0

    def run(self) -> None:
        """Send requests until the traffic ends."""
        while not self._traffic.stopping.is_set():
            addresses = self._traffic.addresses()
            if self._is_to_leave(addresses):
                self._leave()
            if self._connection or addresses:
                self._request(addresses)
            time.sleep(self._traffic.pause_s if addresses else 0.01)
        self._leave()

    def _is_to_leave(self, addresses: Sequence[str]) -> bool:
        if self._connection is None:
            return False
        if is_closed(self._connection):
            return True
        return not self._is_sticky and (
            self._spell >= SPELL or self._address not in addresses)

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _request(self, addresses: Sequence[str]) -> None:
        method = 'POST' if self.sent % 2 else 'GET'
        self.sent += 1
        step = 'connect'
        began = time.strftime('%H:%M:%S')
        try:
            if self._connection is None:
                self._connect(random.choice(addresses))
            step = method
            self._connection.request(
                method, '/', BODY if method == 'POST' else None)
            self._read(method)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._traffic.failures.append(
                f'{began} {self._address} {step}, request {self._spell} of its'
                f' connection: {type(error).__name__}: {error}')
            self._leave()

    def _connect(self, address: str) -> None:
        self._address = address
        self._spell = 0
        self._connection = http.client.HTTPConnection(
            address, timeout=TIMEOUT_S)
        self._connection.connect()

    def _read(self, method: str) -> None:
        response = self._connection.getresponse()
        content = response.read()
        self._spell += 1
        greeting, pid, body = content.split(b' ', 2)
        if response.status != 200 or body != (
                BODY if method == 'POST' else b''):
            raise ValueError(f'{response.status} {content[:80]!r}')
        self._traffic.answers[f'{greeting.decode()} {pid.decode()}'] += 1
        if response.will_close:
            self._leave()


def is_closed(connection: http.client.HTTPConnection) -> bool:
    """Return whether the server has closed an idle connection."""
    return connection.sock is None or bool(
        select.select([connection.sock], [], [], 0)[0])
