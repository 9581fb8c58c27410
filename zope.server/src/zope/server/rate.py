"""Minimum data rates: whether a client sends or reads fast enough."""
from __future__ import annotations


class MinimumRate:
    """Compares what has moved, in bytes, with a rate, now and then.

    For the length of a timeout nothing has to move; after that, what moves at
    the rate may take as long as it needs.  Each time the timeout has passed
    and enough has moved, both begin anew: a client that was fast and then
    stops is waited for twice the timeout at most, however much it has moved
    before.

    What moves in bursts of about `burst` bytes keeps up to `burst` bytes of
    its lead when the time begins anew, and is waited for as much longer.
    """

    __slots__ = ('_began', '_moved', '_burst')

    def __init__(self, burst: int = 0) -> None:
        self._began = 0.0
        self._moved = 0
        self._burst = burst

    def begin(self, now: float, moved: int = 0) -> None:
        """Begin anew, at `now` seconds and `moved` bytes."""
        self._began, self._moved = now, moved

    def is_too_slow(self, now: float, moved: int, timeout: float,
                    rate: int) -> bool:
        """Return whether the client is too slow.

        `moved` are all bytes so far, which never decrease; `now` and
        `timeout` are seconds, `rate` is bytes a second.
        """
        elapsed = now - self._began
        if elapsed <= timeout:
            return False
        earned = (moved - self._moved) / rate
        if earned >= elapsed:
            ahead = int((earned - elapsed) * rate)
            self.begin(now, moved - min(ahead, self._burst))
        return elapsed > timeout + earned
