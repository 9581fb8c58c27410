"""Exact counts of requests, clients and times, for metrics.

A connection belongs to one thread at a time, so it counts its usual requests
itself, without a lock (see `Tally`).  The others are noted, in a list that the
threads share, and are added up by hundreds: to extend a list is one step of
the interpreter, and needs no lock either.  What is rare is counted under one.
"""
from __future__ import annotations

import dataclasses
import threading
from bisect import bisect_right
from collections import Counter
from typing import Any
from typing import Final
from typing import Protocol

# A usual request takes no longer: it is in the first of the buckets.
USUAL_S: Final = 0.005
# The upper bounds of the buckets of times; one more bucket is for longer ones.
BUCKETS_S = (USUAL_S, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The methods of RFC 9110 and RFC 5789.  A client can send any other, and must
# not be able to make up labels.
METHODS = frozenset(('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT',
                     'OPTIONS', 'TRACE', 'PATCH'))
OTHER = 'other'
USUAL = 'GET', 200
# `Meter.add` notes a request as a row of COLUMNS entries in a list: its method
# and status code as a pair, the bytes of its body and of the response's body,
# its duration, and the part of it in the queue, both in seconds.
COLUMNS = 5
# Rows are added up before there are more entries than this.
MOST_ENTRIES = 256 * COLUMNS


@dataclasses.dataclass(frozen=True)
class Times:
    """A histogram: `counts` by bucket, not cumulative, and `total` seconds."""

    counts: tuple[int, ...]
    total: float


@dataclasses.dataclass(frozen=True)
class Measures:
    """What a server has counted since its start.

    `requests` maps (method, status code) to requests that were complete; the
    code is 0 where no response was begun.  `cut` of them have no whole
    response, as the client went, the application failed half-way, or a stop
    did not wait.  `refused` maps codes to requests that the server has
    answered with an error itself; the application has not seen these, and
    `requests` does not count them.

    `duration` is the time from a complete request to its response, as far as
    that is sent or kept to be sent; `queue` the part of it before a thread
    began.  `request_bytes` and `response_bytes` are those of bodies.
    `accepted` counts connections; `slow` those that were closed because the
    client read too slowly.
    """

    requests: dict[tuple[str, int], int]
    cut: int
    refused: dict[int, int]
    duration: Times
    queue: Times
    request_bytes: int
    response_bytes: int
    accepted: int
    slow: int


class Answered(Protocol):
    """What is read of a request; see `zope.server.response.Writer`."""

    method: str
    code: int
    sent: int


class Tally(Protocol):
    """What a connection has counted itself.

    `usual` is how many requests it has answered that were USUAL and took
    USUAL_S at most; `sent` are the bytes of their responses' bodies;
    `duration` and `queue` are sums of what `Measures` says, in seconds.  Each
    only grows.
    """

    usual: int
    sent: int
    duration: float
    queue: float


class Histogram:
    """Seconds by bucket, and their sum."""

    __slots__ = ('counts', 'total', '_told')

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total = 0.0
        self._told = 0.0

    def add(self, seconds: list[float]) -> None:
        """Count these; their order is lost."""
        self.total += sum(seconds)
        seconds.sort()
        done = 0
        for index, bound in enumerate(BUCKETS_S):
            below = bisect_right(seconds, bound, done)
            self.counts[index] += below - done
            done = below
        self.counts[-1] += len(seconds) - done

    def add_usual(self, count: int, total: float) -> None:
        """Count some of USUAL_S at most, which are `total` seconds."""
        self.counts[0] += count
        self.total += total

    def times(self, count: int = 0, total: float = 0.0) -> Times:
        """Return it with some more, as for `add_usual`.

        The sum never falls, as what watches it would take that for a restart:
        the same numbers added up in another order can be a little less.
        """
        self._told = max(self._told, self.total + total)
        return Times((self.counts[0] + count, *self.counts[1:]), self._told)


class Meter:
    """The counts of a server; every method is for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Of the open connections.
        self._tallies: set[Tally] = set()
        # Any thread may extend it, by whole rows.
        self._rows: list[Any] = []
        # Requests with the code 0 are not in `_cut`, though they are.
        self._requests: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[int] = Counter()
        self._duration = Histogram()
        self._queue = Histogram()
        self._received = self._sent = 0
        self._cut = self._accepted = self._slow = 0

    def open(self, tally: Tally) -> None:
        """Count a connection, and from now on what it counts."""
        with self._lock:
            self._accepted += 1
            self._tallies.add(tally)

    def close(self, tally: Tally) -> None:
        """Keep what a connection has counted, which counts no more.

        May be repeated.
        """
        with self._lock:
            if tally in self._tallies:
                self._tallies.remove(tally)
                if tally.usual:
                    self._requests[USUAL] += tally.usual
                self._sent += tally.sent
                self._duration.add_usual(tally.usual, tally.duration)
                self._queue.add_usual(tally.usual, tally.queue)

    def add(self, task: Answered, received: int, duration: float,
            queue: float) -> None:
        """Count a request, with the bytes of its body, and seconds."""
        method = task.method if task.method in METHODS else OTHER
        rows = self._rows
        rows += ((method, task.code), received, task.sent, duration, queue)
        if len(rows) >= MOST_ENTRIES:
            with self._lock:
                self._add_up()

    def add_refused(self, status: int) -> None:
        """Count a request that is answered with an error."""
        with self._lock:
            self._refused[status] += 1

    def add_cut(self) -> None:
        """Count a response, of a request that is counted, as cut."""
        with self._lock:
            self._cut += 1

    def add_slow(self) -> None:
        """Count a client that reads too slowly."""
        with self._lock:
            self._slow += 1

    def _add_up(self) -> None:
        # With the lock.
        rows = self._rows
        size = len(rows)
        requests, received, sent, duration, queue = (
            rows[column:size:COLUMNS] for column in range(COLUMNS))
        # Other threads may have added more meanwhile.
        del rows[:size]
        self._requests.update(requests)
        self._received += sum(received)
        self._sent += sum(sent)
        self._duration.add(duration)
        self._queue.add(queue)

    def read(self) -> Measures:
        """Return the counts."""
        with self._lock:
            self._add_up()
            usual = sent = 0
            duration = queue = 0.0
            for tally in self._tallies:
                usual += tally.usual
                sent += tally.sent
                duration += tally.duration
                queue += tally.queue
            requests = self._requests.copy()
            if usual:
                requests[USUAL] += usual
            return Measures(
                requests=dict(requests),
                cut=self._cut + sum(count for (_, code), count
                                    in requests.items() if not code),
                refused=dict(self._refused),
                duration=self._duration.times(usual, duration),
                queue=self._queue.times(usual, queue),
                request_bytes=self._received,
                response_bytes=self._sent + sent,
                accepted=self._accepted,
                slow=self._slow)
