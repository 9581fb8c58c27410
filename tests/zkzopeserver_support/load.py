"""Clients of one address, which send requests and count failures."""
from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Load:
    """The answers and failures that the clients have seen so far."""

    def __init__(self, address: str, clients: int) -> None:
        self.address = address
        self.answered = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask)
                         for _ in range(clients)]

    def start(self) -> None:
        """Start the clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the clients, after the requests that they have sent."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        while not self._ending.is_set():
            try:
                connection.request('GET', '/')
                response = connection.getresponse()
                response.read()
                self._count(None if response.status == 200
                            else f'status {response.status}')
            except (OSError, http.client.HTTPException) as error:
                self._count(repr(error))
                connection.close()
            # A pause leaves the server time for its other work.
            self._ending.wait(0.005)
        connection.close()

    def _count(self, failure: str | None) -> None:
        with self._lock:
            if failure:
                self.failures.append(failure)
            else:
                self.answered += 1


@contextmanager
def under_load(address: str, clients: int = 4) -> Iterator[Load]:
    """Send requests while the block runs; AssertionError for a failure."""
    load = Load(address, clients)
    load.start()
    try:
        yield load
    finally:
        load.stop()
    assert not load.failures, load.failures[:5]
    assert load.answered
