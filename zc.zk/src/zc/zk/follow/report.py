"""Say the same thing once, and then once a minute, for as long as it lasts."""
from __future__ import annotations

import time
from collections.abc import Callable

#: The time between two reports of the same trouble.
REPORT_INTERVAL_S = 60.0


class Report:
    """A trouble that lasts, logged by `log` with one text."""

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self._text = ''
        self._when = 0.0

    @property
    def is_on(self) -> bool:
        """Whether there is a trouble now."""
        return bool(self._text)

    def say(self, text: str) -> None:
        """Log the trouble, unless the same was logged within a minute."""
        now = time.monotonic()
        if text != self._text or now - self._when >= REPORT_INTERVAL_S:
            self._text, self._when = text, now
            self._log('%s', text)

    def over(self, text: str = '', log: Callable[..., None] | None = None
             ) -> None:
        """Note that there is no trouble; log the text if there was one."""
        if self._text and text and log:
            log('%s', text)
        self._text = ''
