"""Whether data moves as fast as it has to."""
from __future__ import annotations


class MinimumRate:
    """Looks now and then at how much has moved: bytes, ever growing.

    There is a time in which nothing has to move; what moves at a rate may
    take as long as it needs.  Each time that time has passed and enough has
    moved, it begins anew: who is fast and then stops is waited for twice that
    time at most, however much has moved before.

    What moves in lumps of about `burst` bytes may keep so much of what it was
    faster, and is waited for as much longer.
    """

    __slots__ = ('_began', '_moved', '_burst')

    def __init__(self, burst: int = 0) -> None:
        self._began = 0.0
        self._moved = 0
        self._burst = burst

    def begin(self, now: float, moved: int = 0) -> None:
        """From now on it has to move."""
        self._began, self._moved = now, moved

    def is_too_slow(self, now: float, moved: int, timeout: float,
             rate: int) -> bool:
        """Whether it is too slow: seconds, and bytes a second."""
        elapsed = now - self._began
        if elapsed <= timeout:
            return False
        earned = (moved - self._moved) / rate
        if earned >= elapsed:
            ahead = int((earned - elapsed) * rate)
            self.begin(now, moved - min(ahead, self._burst))
        return elapsed > timeout + earned
