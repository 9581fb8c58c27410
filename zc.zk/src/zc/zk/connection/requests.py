"""Requests to ZooKeeper of which none waits for ever."""
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import SessionExpiredError
from kazoo.protocol.states import KazooState

#: How long a wait goes on before it looks whether to stop.
POLL_INTERVAL_S = .1


class Requests:
    """The requests of one client.

    kazoo answers requests that were made before the session was lost with an
    error, but may miss one that is made at that very moment, which then
    waits for ever. It gets the error here.
    """

    def __init__(self, client: KazooClient) -> None:
        self._client = client
        self.closed = False
        self.losses = 0
        client.add_listener(self._state_changed)

    def send(self, request: Callable[..., Any], *args: Any,
             **options: Any) -> 'PendingRequest':
        """Make a request with one of the client's ``_async`` methods."""
        losses = self.losses
        return PendingRequest(self, request(*args, **options), losses)

    def ask(self, request: Callable[..., Any], *args: Any,
            **options: Any) -> Any:
        """Make a request and wait for the answer."""
        return self.send(request, *args, **options).result()

    def close(self) -> None:
        """Let nobody wait any more."""
        self.closed = True
        self._client.remove_listener(self._state_changed)

    def _state_changed(self, state: str) -> None:
        if state == KazooState.LOST:
            self.losses += 1


class PendingRequest:
    """One request; ``losses`` is how many sessions were lost before it."""

    def __init__(self, requests: Requests, answer: Any, losses: int) -> None:
        self._requests = requests
        self._answer = answer
        self._losses = losses

    def result(self) -> Any:
        """The answer, or the exception that ZooKeeper or kazoo has for it."""
        is_doubtful = False
        while not self._answer.wait(POLL_INTERVAL_S):
            if self._requests.closed:
                raise ConnectionClosedError('closed while waiting')
            if is_doubtful:
                raise SessionExpiredError
            is_doubtful = self._losses != self._requests.losses
        return self._answer.get()
