"""Lines about what clients can cause, of which they cannot fill the log."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable

# At most this many lines in each period.
LINES = 10
PERIOD_S = 60.0


class LimitedLog:
    """Logs LINES lines in PERIOD_S, by `log`, such as ``logger.warning``.

    The first line of a later period says how many were left out, by
    `left_out`, a text with ``%d``.  It is for any thread.
    """

    def __init__(self, log: Callable[..., None], left_out: str) -> None:
        self._log = log
        self._text = left_out
        self._lock = threading.Lock()
        self._left = LINES
        self._dropped = 0
        self._ends = 0.0

    def add(self, text: str, *arguments: object) -> None:
        """Log a line, or count that it is left out."""
        now = time.monotonic()
        with self._lock:
            dropped = 0
            if now >= self._ends:
                dropped, self._dropped = self._dropped, 0
                self._left = LINES
                self._ends = now + PERIOD_S
            if not self._left:
                self._dropped += 1
                return
            self._left -= 1
        if dropped:
            self._log(self._text, dropped)
        self._log(text, *arguments)
