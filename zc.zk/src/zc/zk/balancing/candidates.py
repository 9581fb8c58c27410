"""The servers to choose from: who has how much to do, and who rests.

Two servers are taken by chance, weighted; the one with less to do, for its
weight, gets the request ("the power of two choices", Mitzenmacher 2001). No
client has to know more than its own requests.

Where there is little to do, a slow server has no more requests under way than
a fast one. So the time that requests take counts as well: a server that is
much slower than the middle one counts as if it had more to do. Only that: a
server that is faster than others is not preferred, as errors are fast.
"""
from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from zc.zk.servers import Server

#: How long a server rests after a failure, in seconds; doubled by each
#: further one, up to the longest.
FIRST_REST_S = 2.0
LONGEST_REST_S = 30.0

#: The largest weight, as HAProxy has it.
MAX_WEIGHT = 256

#: How often servers are taken by chance before those that can be used are
#: looked for one by one.
TRIES = 4

#: A server is slow when its requests take more than `SLOW` times as long as
#: those of the middle one of all servers. If they take N times as long, it
#: counts as if it had N - 1 further requests under way, `MAX_EXTRA` at most.
SLOW = 3.0
MAX_EXTRA = 15.0

#: Shorter times than this, in seconds, count as this: they tell more of busy
#: machines than of the server.
SHORTEST_S = 0.005

#: The share of the last time in the average, and how many times the average
#: it counts at most: a single long request does not make a server slow.
NEW_SHARE = 0.3
MAX_OUTLIER = 4.0

#: What is left of the slowness of a server after each second, so that one that
#: gets no requests is tried again, some ten seconds later.
LEFT_A_SECOND = 0.9

#: The time in seconds between two looks for the middle one, and what each
#: server adds to it: to sort 10,000 takes 5 ms.
REVIEW_S = 0.1
REVIEW_EACH_S = 0.0001

#: With this number of servers or fewer, the first request of each is a reason
#: to look.
MAX_EAGER = 100


class Candidate:
    """A server, and what this process knows of it.

    `load` is the number of requests under way, `extra` what is added to it as
    the server is slow. `usual_s` is an average of the seconds that requests
    take, 0 if there was none. `rest_until` is a time before which it is not
    used if there is another. `is_gone` says that it is no candidate any more.
    """

    __slots__ = ('server', 'weight', 'load', 'extra', 'usual_s', 'rest_until',
                 'rest_s', 'is_gone')

    def __init__(self, server: Server) -> None:
        self.server = server
        self.weight = weight_of(server.properties)
        self.load = 0
        self.extra = 0.0
        self.usual_s = 0.0
        self.rest_until = 0.0
        self.rest_s = 0.0
        self.is_gone = False


class Candidates:
    """The candidates by name. The caller has a lock, and passes in the time.

    `prefer` are properties: as long as servers that have all of them can be
    used, no other is.
    """

    def __init__(self, prefer: Mapping[str, Any] | None = None) -> None:
        self._prefer = dict(prefer or {})
        self._by_name: dict[str, Candidate] = {}
        self._groups: list[_Group] = []
        self._middle_s = 0.0
        self._reviewed_at = 0.0

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def set(self, servers: Iterable[Server]) -> list[Server]:
        """Replace the servers; return those that are no longer there.

        A server that stays keeps its load and its rest. A request under way
        at one that is gone goes on.
        """
        before = self._by_name
        self._by_name = {}
        for server in servers:
            candidate = before.pop(server.name, None)
            if candidate is None:
                candidate = Candidate(server)
            candidate.server = server
            candidate.weight = weight_of(server.properties)
            self._by_name[server.name] = candidate
        every = list(self._by_name.values())
        liked = [each for each in every if self._prefer and all(
            name in each.server.properties
            and each.server.properties[name] == value
            for name, value in self._prefer.items())]
        self._groups = [_Group(group) for group in (liked, every) if group]
        for candidate in before.values():
            candidate.is_gone = True
        return [candidate.server for candidate in before.values()]

    def pick(self, now: float, exclude: Collection[str] = ()
             ) -> Candidate | None:
        """Choose a candidate; None if there is none but those excluded.

        When all rest, those are used all the same.
        """
        for group in self._groups:
            found = group.pick(now, exclude)
            if found is not None:
                return found
        rest = [each for each in self._by_name.values()
                if each.server.name not in exclude]
        # Nobody can be used: the one that has rested longest.
        return min(rest, key=lambda each: each.rest_until, default=None)

    @staticmethod
    def failed(candidate: Candidate, now: float) -> None:
        """Have a candidate rest after a failure.

        What fails while it rests was under way before, and is no news.
        """
        if now >= candidate.rest_until:
            candidate.rest_s = min(
                LONGEST_REST_S, max(FIRST_REST_S, 2 * candidate.rest_s))
            candidate.rest_until = now + candidate.rest_s

    @staticmethod
    def succeeded(candidate: Candidate) -> None:
        """Forget the failures of a candidate that has answered."""
        if candidate.rest_s:
            candidate.rest_s = candidate.rest_until = 0.0

    def took(self, candidate: Candidate, now: float, took_s: float) -> None:
        """Take in how many seconds a request took."""
        took_s = max(took_s, SHORTEST_S)
        is_first = not candidate.usual_s
        usual_s = candidate.usual_s or min(
            took_s, MAX_OUTLIER * self._middle_s or took_s)
        candidate.usual_s = usual_s + NEW_SHARE * (
            min(took_s, MAX_OUTLIER * usual_s) - usual_s)
        if (now - self._reviewed_at >= REVIEW_S + REVIEW_EACH_S * len(self)
                or is_first and len(self) <= MAX_EAGER):
            self._review(now)
        candidate.extra = self._extra(candidate)

    def _review(self, now: float) -> None:
        """Find the middle one anew; let slow servers recover."""
        left = LEFT_A_SECOND ** (now - self._reviewed_at)
        self._reviewed_at = now
        known = [each for each in self._by_name.values() if each.usual_s]
        times = sorted(each.usual_s for each in known)
        # The slower one of two: there is no telling which is the exception.
        self._middle_s = times[len(times) // 2] if times else 0.0
        for each in known:
            if each.extra:
                each.usual_s = max(each.usual_s * left, self._middle_s)
            each.extra = self._extra(each)

    def _extra(self, candidate: Candidate) -> float:
        if not self._middle_s or candidate.usual_s <= SLOW * self._middle_s:
            return 0.0
        return min(candidate.usual_s / self._middle_s - 1, MAX_EXTRA)

    def reset(self) -> None:
        """Forget all requests under way: they are another process's."""
        for candidate in self._by_name.values():
            candidate.load = 0


class _Group:
    """Candidates that are equally good, with their weights added up."""

    def __init__(self, members: list[Candidate]) -> None:
        self._members = members
        weights = [each.weight for each in members]
        if not any(weights):
            weights = [1] * len(members)
        self._count = len(members)
        self._sums = (None if len(set(weights)) == 1
                      else list(itertools.accumulate(weights)))

    def pick(self, now: float, exclude: Collection[str]) -> Candidate | None:
        for _ in range(TRIES):
            one, two = self._random(), self._random()
            if two.rest_until > now or two.server.name in exclude:
                two = one
            if one.rest_until > now or one.server.name in exclude:
                one = two
            if one.rest_until > now or one.server.name in exclude:
                continue
            if one is two and one.extra:
                continue
            if ((two.load + two.extra) * (one.weight or 1)
                    < (one.load + one.extra) * (two.weight or 1)):
                return two
            return one
        usable = [each for each in self._members if each.rest_until <= now
                  and each.server.name not in exclude]
        return min(usable, default=None, key=lambda each: (
            (each.load + each.extra) / (each.weight or 1), random.random()))

    def _random(self) -> Candidate:
        if self._sums is None:
            return self._members[int(random.random() * self._count)]
        return self._members[bisect.bisect_right(
            self._sums, random.random() * self._sums[-1])]


def weight_of(properties: Mapping[str, Any]) -> int:
    """Return the property ``weight``; 1 unless it is from 0 to MAX_WEIGHT."""
    weight = properties.get('weight', 1)
    return weight if type(weight) is int and 0 <= weight <= MAX_WEIGHT else 1
