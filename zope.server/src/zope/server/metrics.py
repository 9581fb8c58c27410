"""Exact counts of requests, clients and times, for metrics.

Each thread counts for itself, so that no count needs a lock and none is lost.
`Meter.read` adds them up.
"""
from __future__ import annotations

import dataclasses
import threading
from bisect import bisect_left
from collections import Counter
from time import monotonic
from typing import Any
from typing import Protocol

# The upper bounds of the buckets of times; one more bucket is for longer ones.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FIRST_S = BUCKETS_S[0]
# What the places of a cell have: requests that are in the first bucket of both
# histograms, other requests, sums of seconds, bytes of response bodies.
QUICK, SLOW, DURATION_S, QUEUE_S, SENT = range(5)
# The methods of RFC 9110 and RFC 5789.  A client can send any other, and must
# not be able to make up labels.
METHODS = frozenset(('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT',
                     'OPTIONS', 'TRACE', 'PATCH'))
OTHER = 'other'


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
    """What is read of a request; `began` is as of time.monotonic()."""

    method: str
    code: int
    sent: int
    began: float


class Tally:
    """The counts of one thread.

    `cells` has a list for each method and status code: what QUICK, SLOW,
    DURATION_S, QUEUE_S and SENT say is at these places.  Quick requests are
    those of the first bucket, of `duration` as of `queue`, and are in no
    other count.
    """

    __slots__ = ('cells', 'refused', 'duration', 'queue', 'received', 'cut',
                 'accepted', 'slow')

    def __init__(self) -> None:
        self.cells: dict[tuple[str, int], list[Any]] = {}
        self.refused: Counter[int] = Counter()
        self.duration = [0] * (len(BUCKETS_S) + 1)
        self.queue = [0] * (len(BUCKETS_S) + 1)
        self.received = self.cut = self.accepted = self.slow = 0

    def cell(self, method: str, code: int) -> list[Any]:
        """Return the cell of a method, which is OTHER if it is unknown."""
        key = method if method in METHODS else OTHER, code
        return self.cells.setdefault(key, [0, 0, 0.0, 0.0, 0])

    def add_slow(self, cell: list[Any], seconds: float,
                 waited: float) -> None:
        """Count a request in its buckets."""
        cell[SLOW] += 1
        self.duration[bisect_left(BUCKETS_S, seconds)] += 1
        self.queue[bisect_left(BUCKETS_S, waited)] += 1

    def add(self, task: Answered, waited: float) -> None:
        """Count a request that is over and has waited this long."""
        seconds = monotonic() - task.began
        cell = self.cell(task.method, task.code)
        cell[DURATION_S] += seconds
        cell[QUEUE_S] += waited
        cell[SENT] += task.sent
        self.add_slow(cell, seconds, waited)


class Own(threading.local):
    """The tally of the thread that asks, which `Meter` knows, too."""

    def __init__(self, tallies: list[Tally]) -> None:
        self.tally = Tally()
        tallies.append(self.tally)


class Meter:
    """The counts of a server; `own.tally` is the calling thread's part."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self.own = Own(self._tallies)

    def read(self) -> Measures:
        """Return the sums; from any thread."""
        tallies = list(self._tallies)
        refused: Counter[int] = Counter()
        for tally in tallies:
            # A copy: its thread goes on.
            refused.update(tally.refused.copy())
        cells = [(key, list(cell)) for tally in tallies
                 for key, cell in list(tally.cells.items())]
        requests: Counter[tuple[str, int]] = Counter()
        for key, cell in cells:
            requests[key] += cell[QUICK] + cell[SLOW]
        quick = sum(cell[QUICK] for _, cell in cells)
        return Measures(
            requests=dict(requests),
            cut=sum(tally.cut for tally in tallies),
            refused=dict(refused),
            duration=Times(
                added(quick, [tally.duration for tally in tallies]),
                sum(cell[DURATION_S] for _, cell in cells)),
            queue=Times(
                added(quick, [tally.queue for tally in tallies]),
                sum(cell[QUEUE_S] for _, cell in cells)),
            request_bytes=sum(tally.received for tally in tallies),
            response_bytes=sum(cell[SENT] for _, cell in cells),
            accepted=sum(tally.accepted for tally in tallies),
            slow=sum(tally.slow for tally in tallies))


def added(quick: int, lists: list[list[int]]) -> tuple[int, ...]:
    """Return the counts of buckets: `quick` in the first, and the lists'."""
    return tuple(map(sum, zip([quick] + [0] * len(BUCKETS_S), *lists,
                              strict=True)))
