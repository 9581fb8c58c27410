"""Servers that come and go again and again, for which nothing is hurried.

A reload each time costs a proxy its old processes, which wait for their
requests. Other changes must not wait: so it counts which servers they are of.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Set

#: A server flaps when it came or went so often within the window.
CHANGES = 3
WINDOW_S = 10.0


class Flaps:
    """Which of the servers flap; time is passed in, and never runs back."""

    def __init__(self) -> None:
        self._present: frozenset[str] = frozenset()
        self._changes: dict[str, deque[float]] = {}

    def see(self, now: float, present: Set[str]) -> None:
        """Take in the addresses of the servers."""
        for address in self._present ^ present:
            self._changes.setdefault(
                address, deque(maxlen=CHANGES)).append(now)
        self._present = frozenset(present)
        for address in [address for address, times in self._changes.items()
                        if times[-1] <= now - WINDOW_S]:
            del self._changes[address]

    def flap(self, now: float, addresses: Set[str]) -> bool:
        """Return whether there are addresses, and all of them flap."""
        return bool(addresses) and all(
            self._flaps(now, address) for address in addresses)

    def _flaps(self, now: float, address: str) -> bool:
        times = self._changes.get(address)
        return (times is not None and len(times) == CHANGES
                and times[0] > now - WINDOW_S)
