"""Requests to ZooKeeper of which none waits for ever."""
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import SessionExpiredError
from kazoo.protocol.states import KazooState

#: How long a wait goes on before it looks whether to stop.
SLICE_SECONDS = .1


class Calls:
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
             **options: Any) -> 'Call':
        """Make a request with one of the client's ``_async`` methods."""
        losses = self.losses
        return Call(self, request(*args, **options), losses)

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


class Call:
    """One request; ``losses`` is how many sessions were lost before it."""

    def __init__(self, calls: Calls, answer: Any, losses: int) -> None:
        self._calls = calls
        self._answer = answer
        self._losses = losses

    def result(self) -> Any:
        """The answer, or the exception that ZooKeeper or kazoo has for it."""
        is_doubtful = False
        while not self._answer.wait(SLICE_SECONDS):
            if self._calls.closed:
                raise ConnectionClosedError('closed while waiting')
            if is_doubtful:
                raise SessionExpiredError
            is_doubtful = self._losses != self._calls.losses
        return self._answer.get()
