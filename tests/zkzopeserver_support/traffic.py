"""Clients that send requests all the while, and count those that fail.

What is fair to ask of a client, and no more:

- It sends to an address that it sees in ZooKeeper at that moment.
- It keeps its connection.  After ``Connection: close`` it closes it, and
  before a request it looks whether the server has closed it meanwhile.
- It sends each request once, GET as well as POST: nothing is retried.
  Whatever goes wrong is a failed request: a refused or reset connection, an
  end without an answer, another status than 200, other content.

Every other client leaves its connection when the address has gone from
ZooKeeper, and now and then, to spread its load.  The others stay until the
server closes, as a proxy does that knows nothing of ZooKeeper.
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

# So many requests on one connection, for those that spread their load.
SPELL = 100
TIMEOUT_S = 15
BODY = b'x' * 500


class Traffic:
    """So many connections, each with a client in a thread of its own.

    `addresses` gives what is to be seen in ZooKeeper, as ``HOST:PORT``.
    Clients send while a ``with`` block runs; `pause_s` is between requests.
    """

    def __init__(self, addresses: Callable[[], Sequence[str]],
                 connections: int = 32, pause_s: float = 0) -> None:
        self.addresses = addresses
        self.pause_s = pause_s
        #: Requests, by what answered: the words before the body.
        self.answers: collections.Counter[str] = collections.Counter()
        #: What went wrong, a line a request.
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._clients = [Client(self, is_sticky=bool(number % 2))
                         for number in range(connections)]

    @property
    def total(self) -> int:
        """Requests sent, and answered or failed."""
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
    """Sends a request after the other."""

    def __init__(self, traffic: Traffic, is_sticky: bool) -> None:
        super().__init__(name='traffic', daemon=True)
        self.sent = 0
        self._traffic = traffic
        self._is_sticky = is_sticky
        self._connection: http.client.HTTPConnection | None = None
        self._address = ''
        self._spell = 0

    def run(self) -> None:
        """Until the traffic ends."""
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
        except (OSError, http.client.HTTPException, ValueError) as reason:
            self._traffic.failures.append(
                f'{began} {self._address} {step}, request {self._spell} of its'
                f' connection: {type(reason).__name__}: {reason}')
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
    """Whether the server has closed a connection on which nothing runs."""
    return connection.sock is None or bool(
        select.select([connection.sock], [], [], 0)[0])
