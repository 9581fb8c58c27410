"""What bench/truth.py sees of servers: their nodes, and their answers.

An observer has the list of nodes by a watch, and asks each server in it, and
each that says in its log that it serves, again and again. Clients take a
server from the list for each request.
"""
from __future__ import annotations

import http.client
import random
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import NamedTuple

from kazoo.client import KazooClient
from zc.zk.testing.waiting import wait_for

PATH = '/fooservice/providers'
CLIENTS = 20
RATE = 100

# A server that has not answered within this time does not answer, to the
# observer and to a client, in seconds.
PROBE_S = 0.5
CLIENT_S = 1.0

# The pause between two questions to a server, and between two looks at what
# the servers have logged, in seconds.
PAUSE_S = 0.02

# What a server logs when it begins to serve, and when it is to leave.
LOGGED = re.compile(r'^.*\.service (serving on) (\S+)$'
                    r'|^.*\.registration (withdrew) (.+)$', re.MULTILINE)

# All is well again when it has been for this time, and has to be within that.
WELL_S = 1.5
LIMIT_S = 90.0


def get(address: str, timeout: float) -> bool:
    """Return whether a server answers 200."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request('GET', '/', headers={'Connection': 'close'})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Observer:
    """Sees the list, and asks each server, whether it is in the list or not.

    `expected` is how many servers there should be at least, as long as it is
    observed. `outputs` returns what the servers have logged, a text for each
    of their processes that were started, the first one first.
    """

    def __init__(self, client: KazooClient, expected: int,
                 outputs: Callable[[], Iterable[str]]) -> None:
        self.names: set[str] = set()
        self._outputs = outputs
        self._expected = expected
        self._answers: dict[str, bool] = {}
        # Since when a name is in the list, or is not.
        self._since: dict[str, float] = {}
        self._lies_s: dict[str, float] = {}
        # For how long a server was not in the list though it answered: in the
        # times that are over, and in the one that may not be over.
        self._unlisted_s: dict[str, float] = {}
        self._gap_s: dict[str, float] = {}
        # Those that are to leave the list.
        self._leaving: set[str] = set()
        self._missing_s = 0.0
        self._counts_from: float | None = None
        self._changed_at = time.monotonic()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        client.ChildrenWatch(PATH)(self._see)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Find servers by what they log, and notice when they are to leave."""
        seen: list[int] = []
        while not self._is_over.wait(PAUSE_S):
            for number, text in enumerate(self._outputs()):
                seen += [0] * (number + 1 - len(seen))
                end = text.rfind('\n') + 1
                for found in LOGGED.finditer(text, seen[number], end):
                    if found[1]:
                        self._leaving.discard(found[2])
                        self._begin_to_ask(found[2])
                    else:
                        self._note_leaving(found[4].rpartition('/')[2])
                seen[number] = end

    def _note_leaving(self, name: str) -> None:
        with self._lock:
            self._leaving.add(name)
            self._gap_s.pop(name, None)

    def _begin_to_ask(self, name: str) -> None:
        with self._lock:
            if name in self._threads:
                return
            self._since.setdefault(name, time.monotonic())
            self._threads[name] = threading.Thread(
                target=self._ask, args=(name,), daemon=True)
            self._threads[name].start()

    def _see(self, names: list[str]) -> bool:
        now = time.monotonic()
        with self._lock:
            self._count_missing(now)
            for name in self.names.symmetric_difference(names):
                self._since[name] = now
            self.names = set(names)
        for name in names:
            self._begin_to_ask(name)
        return not self._is_over.is_set()

    def begin(self) -> None:
        """Count from now on."""
        with self._lock:
            self._counts_from = self._changed_at = time.monotonic()

    def _count_missing(self, now: float) -> None:
        if (self._counts_from is not None
                and len(self.names) < self._expected):
            self._missing_s += now - self._changed_at
        self._changed_at = now

    def _ask(self, name: str) -> None:
        last, was_good = time.monotonic(), False
        while not self._is_over.wait(PAUSE_S):
            if name not in self.names and name in self._leaving:
                self._answers.pop(name, None)
                continue
            self._answers[name] = is_good = get(name, PROBE_S)
            now = time.monotonic()
            if not is_good:
                self._count_lie(name, last, now)
            elif was_good:
                self._count_unlisted(name, last, now)
            last, was_good = now, is_good

    def _count_unlisted(self, name: str, begin: float, end: float) -> None:
        """Count the part of a time for which the name was not in the list."""
        with self._lock:
            if self._counts_from is None or name in self._leaving:
                return
            is_listed = name in self.names
            if is_listed:
                end = min(end, self._since[name])
            else:
                begin = max(begin, self._since[name])
            begin = max(begin, self._counts_from)
            gap_s = (self._gap_s.pop(name, 0.0) + max(end - begin, 0.0))
            gaps = self._unlisted_s if is_listed else self._gap_s
            gaps[name] = gaps.get(name, 0.0) + gap_s

    def _count_lie(self, name: str, begin: float, end: float) -> None:
        """Count the part of a time for which the name was in the list."""
        with self._lock:
            if self._counts_from is None:
                return
            if name in self.names:
                begin = max(begin, self._since[name])
            else:
                end = min(end, self._since[name])
            begin = max(begin, self._counts_from)
            self._lies_s[name] = (self._lies_s.get(name, 0.0)
                                  + max(end - begin, 0.0))

    @property
    def lie_s(self) -> float:
        """For how long the node with the longest lie has lied."""
        return max(self._lies_s.values(), default=0.0)

    @property
    def unlisted_s(self) -> float:
        """For how long the worst server answered and was not in the list.

        Not counted is a server that is to leave, and still answers.
        """
        with self._lock:
            return max((self._unlisted_s.get(name, 0.0)
                        + self._gap_s.get(name, 0.0)
                        for name in self._threads), default=0.0)

    @property
    def missing_s(self) -> float:
        """For how long there were fewer nodes than expected."""
        with self._lock:
            self._count_missing(time.monotonic())
            return self._missing_s

    def wait_well(self, count: int) -> None:
        """Wait until `count` servers were there and answered for WELL_S."""
        since: float | None = None

        def is_well() -> bool:
            nonlocal since
            names = self.names
            if len(names) != count or not all(map(self._answers.get, names)):
                since = None
            elif since is None:
                since = time.monotonic()
            return since is not None and time.monotonic() - since > WELL_S

        wait_for(is_well, LIMIT_S,
                 lambda: f'all to be well: {self.names} {self._answers}')

    def close(self) -> None:
        """End the threads."""
        self._is_over.set()
        self._reader.join()
        for thread in self._threads.values():
            thread.join()


class Request(NamedTuple):
    """A request: how many tries it had, when it began, what came of it.

    `outcome` is ``answered``, ``failed``, or ``empty``: there was no server
    to send it to.
    """

    tries: int
    began: float
    outcome: str


class Clients:
    """Clients that take a server from the list for each request.

    Each second one of them takes another server, where there is one, if the
    first has failed.
    """

    def __init__(self, observer: Observer) -> None:
        self.requests: list[Request] = []
        self._observer = observer
        self._is_over = threading.Event()
        self._threads = [threading.Thread(
            target=self._run, args=(number % 2 + 1,), daemon=True)
            for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, tries: int) -> None:
        while not self._is_over.wait(random.uniform(0.5, 1.5)
                                     * CLIENTS / RATE):
            began = time.monotonic()
            self.requests.append(Request(tries, began, self._send(tries)))

    def _send(self, tries: int) -> str:
        tried: set[str] = set()
        for _ in range(tries):
            names = self._observer.names - tried or self._observer.names
            if names:
                name = random.choice(sorted(names))
                if get(name, CLIENT_S):
                    return 'answered'
                tried.add(name)
        return 'failed' if tried else 'empty'

    def close(self) -> None:
        """End the threads."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
