"""When to start the next worker, after others have died."""
from __future__ import annotations

import random

FIRST_S = 0.5
LONGEST_S = 30.0

# A worker that was registered for so long was sound.
SOUND_S = 10.0

# Deaths that lie further apart than this have nothing to do with each other.
QUIET_S = 60.0


class Backoff:
    """The time from which another worker may be started.

    A sound worker is replaced at once, and so is the first of the others
    that had been registered.  After each further death the wait doubles, from
    half a second to half a minute, with up to a quarter of jitter.
    """

    def __init__(self) -> None:
        #: Deaths before registration since any worker was registered.
        self.early = 0
        #: From when on to start another, on the clock of the caller.
        self.ready_at = 0.0
        self._deaths = 0
        self._last = 0.0

    def registered(self) -> None:
        """A worker has been registered."""
        self.early = 0

    def died(self, now: float, registered_for: float | None) -> float:
        """A worker died; the seconds to wait.

        `registered_for` is for how long it was registered, None for never.
        """
        if now - self._last > QUIET_S:
            self._deaths = 0
        self._last = now
        if registered_for is None:
            self.early += 1
            self._deaths += 1
            wait = delay(self._deaths)
        elif registered_for >= SOUND_S:
            self._deaths = 0
            wait = 0.0
        else:
            self._deaths += 1
            wait = delay(self._deaths - 1)
        self.ready_at = now + wait
        return wait

    def forget(self) -> None:
        """Start at once, and from the shortest wait: somebody mended it."""
        self.early = self._deaths = 0
        self.ready_at = 0.0


def delay(deaths: int) -> float:
    """Seconds to wait after so many deaths in a row."""
    if not deaths:
        return 0.0
    seconds = min(FIRST_S * 2 ** min(deaths - 1, 10), LONGEST_S)
    return seconds * random.uniform(0.75, 1)
