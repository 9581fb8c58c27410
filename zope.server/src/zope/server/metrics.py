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
from typing import Protocol

# The upper bounds of the buckets of times; one more bucket is for longer ones.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FIRST_S = BUCKETS_S[0]
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


class Cell:
    """The counts of one method and status code, of one thread.

    `quick` requests are those of the first bucket of both histograms, `others`
    the rest.  `duration_s` and `queue_s` are sums, `sent` is the bytes of
    response bodies.
    """

    __slots__ = ('quick', 'others', 'duration_s', 'queue_s', 'sent')

    def __init__(self) -> None:
        self.quick = self.others = self.sent = 0
        self.duration_s = self.queue_s = 0.0


class Tally:
    """The counts of one thread.

    `cells` has what is counted, by method and then by status code.  Methods
    are those of METHODS and OTHER, so that only the inner dicts grow.  Quick
    requests are in neither `duration` nor `queue`, the counts by bucket.
    Requests with the code 0 are not in `cut`, though they are.
    """

    __slots__ = ('cells', 'refused', 'duration', 'queue', 'received', 'cut',
                 'accepted', 'slow')

    def __init__(self) -> None:
        self.cells: dict[str, dict[int, Cell]] = {
            method: {} for method in (*METHODS, OTHER)}
        self.refused: Counter[int] = Counter()
        self.duration = [0] * (len(BUCKETS_S) + 1)
        self.queue = [0] * (len(BUCKETS_S) + 1)
        self.received = self.cut = self.accepted = self.slow = 0

    def cell(self, method: str, code: int) -> Cell:
        """Return the cell of a method, which is OTHER if it is unknown."""
        cells = self.cells[method if method in METHODS else OTHER]
        return cells.setdefault(code, Cell())

    def list_cells(self) -> list[tuple[str, int, Cell]]:
        """Return (method, code, cell) of all cells; from any thread."""
        return [(method, code, cell)
                for method, cells in self.cells.items()
                for code, cell in list(cells.items())]

    def add_slow(self, cell: Cell, seconds: float, waited: float) -> None:
        """Count a request in its buckets."""
        cell.others += 1
        self.duration[bisect_left(BUCKETS_S, seconds)] += 1
        self.queue[bisect_left(BUCKETS_S, waited)] += 1

    def add(self, task: Answered, waited: float) -> None:
        """Count a request that is over and has waited this long."""
        seconds = monotonic() - task.began
        cell = self.cell(task.method, task.code)
        cell.duration_s += seconds
        cell.queue_s += waited
        cell.sent += task.sent
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
        requests: Counter[tuple[str, int]] = Counter()
        cells, quick = [], 0
        for tally in tallies:
            for method, code, cell in tally.list_cells():
                # Once: its thread goes on, and sums are to be equal.
                found = cell.quick
                quick += found
                requests[method, code] += found + cell.others
                cells.append(cell)
        return Measures(
            requests=dict(requests),
            cut=sum(tally.cut for tally in tallies) + sum(
                count for (_, code), count in requests.items() if not code),
            refused=dict(refused),
            duration=Times(
                added(quick, [tally.duration for tally in tallies]),
                sum(cell.duration_s for cell in cells)),
            queue=Times(
                added(quick, [tally.queue for tally in tallies]),
                sum(cell.queue_s for cell in cells)),
            request_bytes=sum(tally.received for tally in tallies),
            response_bytes=sum(cell.sent for cell in cells),
            accepted=sum(tally.accepted for tally in tallies),
            slow=sum(tally.slow for tally in tallies))


def added(quick: int, lists: list[list[int]]) -> tuple[int, ...]:
    """Return the counts of buckets: `quick` in the first, and the lists'."""
    return tuple(map(sum, zip([quick] + [0] * len(BUCKETS_S), *lists,
                              strict=True)))
