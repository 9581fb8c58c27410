"""Log what strangers cause, without letting them fill the log.

Whoever may write into a tree can have each of its clients see, and log, a
hundred changes a second, and with names without an end each line differs.
"""
from __future__ import annotations

import logging
import threading
import time
from typing import Any

#: At most this many lines of each message in each period.
LINES = 100
PERIOD_S = 60.0

#: So many messages are told apart; then all begin anew.
MAX_MESSAGES = 1000


class LimitedLogger(logging.LoggerAdapter):
    """Logs `LINES` of each message in `PERIOD_S`; those at DEBUG go through.

    Messages are the same if their texts before formatting are equal. The first
    line of a later period says how many were left out.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})
        self._lock = threading.Lock()
        # Message -> [when its period ends, lines logged, lines left out].
        self._periods: dict[str, list[float]] = {}
        _all.append(self)

    def reset(self) -> None:
        """Forget what was logged."""
        with self._lock:
            self._periods.clear()

    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log, unless too much of the same was logged in this period."""
        kwargs.setdefault('stacklevel', 2)
        if level > logging.DEBUG:
            if not self.isEnabledFor(level):
                return
            left_out = self._take(str(msg))
            if left_out is None:
                return
            if left_out:
                super().log(level, '%d more lines of this kind were left out:'
                            ' %r', left_out, msg)
        super().log(level, msg, *args, **kwargs)

    def _take(self, msg: str) -> int | None:
        """Return how many lines were left out before; None to leave it out."""
        now = time.monotonic()
        with self._lock:
            period = self._periods.get(msg)
            if period is None or now >= period[0]:
                left_out = 0 if period is None else int(period[2])
                if len(self._periods) >= MAX_MESSAGES:
                    self._periods.clear()
                self._periods[msg] = [now + PERIOD_S, 1, 0]
                return left_out
            if period[1] >= LINES:
                period[2] += 1
                return None
            period[1] += 1
            return 0


_all: list[LimitedLogger] = []


def reset() -> None:
    """Forget, in all modules, what was logged."""
    for logger in _all:
        logger.reset()
