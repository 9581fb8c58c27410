"""Exact counts of requests, clients and times, for metrics.

Usual requests are only noted, in a list that the threads share, and are added
up by hundreds.  To extend a list is one step of the interpreter, so that it
needs no lock, and none is lost.  What is rare is counted under a lock.
"""
from __future__ import annotations

import dataclasses
import threading
from bisect import bisect_right
from collections import Counter
from typing import Any
from typing import Final
from typing import Protocol

# The upper bounds of the buckets of times; one more bucket is for longer ones.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The methods of RFC 9110 and RFC 5789.  A client can send any other, and must
# not be able to make up labels.
METHODS = frozenset(('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT',
                     'OPTIONS', 'TRACE', 'PATCH'))
OTHER = 'other'
# A request that is noted is a row of COLUMNS numbers, one after the other: its
# status code, the bytes of the response's body, its duration, and the part of
# it in the queue, both in seconds.
COLUMNS = 4
# Rows are added up before there are more numbers than this.
MOST_NUMBERS: Final = 256 * COLUMNS


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


class Histogram:
    """Seconds by bucket, and their sum."""

    __slots__ = ('counts', 'total')

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total = 0.0

    def add(self, seconds: list[float]) -> None:
        """Count these, which must not be none; their order is lost."""
        self.total += sum(seconds)
        if max(seconds) <= BUCKETS_S[0]:
            self.counts[0] += len(seconds)
            return
        seconds.sort()
        done = 0
        for index, bound in enumerate(BUCKETS_S):
            below = bisect_right(seconds, bound, done)
            self.counts[index] += below - done
            done = below
        self.counts[-1] += len(seconds) - done

    def times(self) -> Times:
        """Return a copy."""
        return Times(tuple(self.counts), self.total)


class Meter:
    """The counts of a server; every method is for any thread.

    `rows` has the numbers of requests with the method GET that are not yet
    added up.  Any thread may extend it, by whole rows.
    """

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._lock = threading.Lock()
        # Requests with the code 0 are not in `_cut`, though they are.
        self._requests: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[int] = Counter()
        self._duration = Histogram()
        self._queue = Histogram()
        self._received = self._sent = 0
        self._cut = self._accepted = self._slow = 0

    def add(self, task: Answered, received: int, duration: float,
            queue: float) -> None:
        """Count a request, with the bytes of its body, and seconds."""
        method = task.method if task.method in METHODS else OTHER
        with self._lock:
            self._requests[method, task.code] += 1
            self._received += received
            self._sent += task.sent
            self._duration.add([duration])
            self._queue.add([queue])
            if len(self.rows) >= MOST_NUMBERS:
                self._add_up()

    def add_connection(self) -> None:
        """Count a connection."""
        with self._lock:
            self._accepted += 1

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
        rows = self.rows
        size = len(rows)
        if not size:
            return
        codes, sent, duration, queue = (
            rows[column:size:COLUMNS] for column in range(COLUMNS))
        # Other threads may have added more meanwhile.
        del rows[:size]
        if codes.count(codes[0]) == len(codes):
            # As a rule; a Counter takes its time.
            self._requests['GET', codes[0]] += len(codes)
        else:
            for code, count in Counter(codes).items():
                self._requests['GET', code] += count
        self._sent += sum(sent)
        self._duration.add(duration)
        self._queue.add(queue)

    def read(self) -> Measures:
        """Return the counts."""
        with self._lock:
            self._add_up()
            return Measures(
                requests=dict(self._requests),
                cut=self._cut + sum(
                    count for (_, code), count in self._requests.items()
                    if not code),
                refused=dict(self._refused),
                duration=self._duration.times(),
                queue=self._queue.times(),
                request_bytes=self._received,
                response_bytes=self._sent,
                accepted=self._accepted,
                slow=self._slow)
