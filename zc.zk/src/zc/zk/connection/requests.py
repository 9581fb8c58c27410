"""Requests to ZooKeeper whose answers are never awaited for ever."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import SessionExpiredError
from kazoo.protocol.states import KazooState
from zc.zk.errors import UsedAfterFork

#: The time between two looks whether a wait has become pointless.
POLL_INTERVAL_S = .1


class Requests:
    """The requests of one client, whose waits end with the session.

    When a session is lost, kazoo fails the requests that were made before.
    It may miss a request that another thread makes at that moment, which
    then gets no answer at all. Here such a request fails, too.

    `losses` is the number of sessions that the client has lost. `closed` is
    whether `close` has been called.
    """

    def __init__(self, client: KazooClient) -> None:
        self._client = client
        self.closed = False
        self.losses = 0
        self._pid = os.getpid()
        client.add_listener(self._state_changed)

    def send(self, request: Callable[..., Any], *args: Any,
             **options: Any) -> PendingRequest:
        """Send a request by calling one of the client's ``_async`` methods.

        Raises UsedAfterFork in a forked child: no thread would answer.
        """
        self.check_process()
        losses = self.losses
        return PendingRequest(self, request(*args, **options), losses)

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that has the session."""
        return self._pid != os.getpid()

    def check_process(self) -> None:
        """Raise UsedAfterFork in a forked child."""
        if self.is_forked:
            raise UsedAfterFork(self._pid)

    def ask(self, request: Callable[..., Any], *args: Any,
            **options: Any) -> Any:
        """Send a request and return its answer; see `send` and `result`."""
        return self.send(request, *args, **options).result()

    def close(self) -> None:
        """End all waits with ConnectionClosedError."""
        self.closed = True
        self._client.remove_listener(self._state_changed)

    def _state_changed(self, state: str) -> None:
        if state == KazooState.LOST:
            self.losses += 1


class PendingRequest:
    """A request that was sent, after `losses` sessions had been lost."""

    def __init__(self, requests: Requests, answer: Any, losses: int) -> None:
        self._requests = requests
        self._answer = answer
        self._losses = losses

    def result(self) -> Any:
        """Wait for the answer and return it, or raise its exception.

        Raises SessionExpiredError if the session is lost before an answer
        comes, and ConnectionClosedError if the requests are closed.
        """
        is_doubtful = False
        while not self._answer.wait(POLL_INTERVAL_S):
            if self._requests.closed:
                raise ConnectionClosedError('closed while waiting')
            if is_doubtful:
                raise SessionExpiredError
            # kazoo's own answer may come within the next interval.
            is_doubtful = self._losses != self._requests.losses
        return self._answer.get()
