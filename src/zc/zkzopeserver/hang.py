"""Notice that all threads of a server hang in the application."""
from __future__ import annotations

from collections.abc import Callable

from zope.server.running import Activity

# How many requests a message names.
NAMED = 10

# Looks in the time after which a server hangs, and the shortest and longest
# time between two of them, in seconds.  That time is counted from the first
# look that finds all threads busy.
LOOKS = 60
SHORTEST_LOOK_S = 0.05
LONGEST_LOOK_S = 0.5

# A server that will hang in this time, or in that part of the time after which
# it does, is about to: so much earlier its substitute can be started.
ABOUT_TO_S = 0.5
ABOUT_TO_PART = 1 / 6


class HangWatch:
    """Watches the threads; `look` at them again, after `next_look_s`.

    A server hangs when all its threads are busy, none has finished a request
    for `after_s` seconds, and a request waits.  It hangs until a thread is
    free, whether requests wait or not: once it is out of ZooKeeper there may
    be no more of them.

    `activity` returns what the threads are doing.
    """

    def __init__(self, activity: Callable[[], Activity],
                 after_s: float) -> None:
        #: Since when it hangs, as of the clock of the caller; None: not.
        self.hung_since: float | None = None
        self._activity = activity
        self._after_s = after_s
        self._about_to_s = after_s - min(after_s * ABOUT_TO_PART, ABOUT_TO_S)
        self._look_s = min(max(after_s / LOOKS, SHORTEST_LOOK_S),
                           LONGEST_LOOK_S)
        self._finished = -1
        # Since when all threads were busy, and none finished a request.
        self._busy_since: float | None = None
        #: Whether it hangs, or will if nothing happens for ABOUT_TO_S.
        self.is_about_to_hang = False

    def look(self, now: float) -> bool:
        """Return whether the server hangs."""
        found = self._activity()
        if not found.is_busy:
            self._busy_since = self.hung_since = None
        elif found.finished != self._finished or self._busy_since is None:
            self._busy_since, self.hung_since = now, None
        busy_s = 0.0 if self._busy_since is None else now - self._busy_since
        self._finished = found.finished
        if (self.hung_since is None and found.queued
                and busy_s >= self._after_s):
            self.hung_since = now
        # As `hung_since`, until a thread is free.
        self.is_about_to_hang = busy_s >= self._about_to_s and (
            self.is_about_to_hang or found.queued > 0)
        return self.hung_since is not None

    def next_look_s(self, now: float) -> float:
        """Return the seconds to the next look: to when it hangs, at most."""
        if self._busy_since is None or self.hung_since is not None:
            return self._look_s
        left_s = self._busy_since + self._after_s - now
        return min(left_s, self._look_s) if left_s > 0 else self._look_s

    def describe(self) -> str:
        """Return which requests hang, and for how long, as a text."""
        found = self._activity()
        named = [f'{request.text} for {request.age:.1f} s'
                 for request in found.running[:NAMED]]
        if len(found.running) > NAMED:
            named.append(f'{len(found.running) - NAMED} more')
        return (f'all {found.threads} threads hang, {found.queued} requests'
                f' wait: {", ".join(named)}')
