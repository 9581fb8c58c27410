"""Notice that all threads of a server hang in the application."""
from __future__ import annotations

from collections.abc import Callable

from zope.server.running import Activity

# How many requests a message names.
NAMED = 10


class HangWatch:
    """Watches the threads; `look` at them again and again.

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
        self._finished = -1
        self._busy_since = 0.0

    def look(self, now: float) -> bool:
        """Return whether the server hangs."""
        found = self._activity()
        if found.finished != self._finished or not found.is_busy:
            self._finished = found.finished
            self._busy_since = now
            self.hung_since = None
        elif (self.hung_since is None and found.queued
                and now - self._busy_since >= self._after_s):
            self.hung_since = now
        return self.hung_since is not None

    def describe(self) -> str:
        """Return which requests hang, and for how long, as a text."""
        found = self._activity()
        named = [f'{request.text} for {request.age:.1f} s'
                 for request in found.running[:NAMED]]
        if len(found.running) > NAMED:
            named.append(f'{len(found.running) - NAMED} more')
        return (f'all {found.threads} threads hang, {found.queued} requests'
                f' wait: {", ".join(named)}')
