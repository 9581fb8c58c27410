"""Whether a signal asks for a stop, or insists on it."""
from __future__ import annotations

import time
from collections.abc import Callable

# Seconds in which signals are one request.  timeout(1) signals its child and
# then the group it is in; a shell and its terminal both tell of their end.
# People take longer to lose patience.
MOMENT_S = 0.5


class Insistence:
    """Counts signals as those mean them who send them.

    Safe in signal handlers: there are no locks.  `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first_at: float | None = None

    def is_shown(self) -> bool:
        """Take a signal in; whether it is more than the first request.

        What comes within a moment of the first one belongs to that.
        """
        now = self._clock()
        if self._first_at is None:
            self._first_at = now
        return now - self._first_at >= MOMENT_S
