"""What kazoo logs: no secrets, and not the same thing every second."""
import logging
import time
from typing import Any

#: The time between two reports of the same trouble.
REPORT_INTERVAL_S = 60.0


class Credential(str):
    """A secret that kazoo's debug messages do not show."""

    def __repr__(self) -> str:
        return "'<hidden>'"


class RateLimitedLogger(logging.LoggerAdapter):
    """kazoo's messages; while it is disconnected, not one a second."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})
        self._said: dict[str, float] = {}

    def reset(self) -> None:
        """Let everything be said again."""
        self._said = {}

    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log, at debug level what was said within the last minute."""
        if level > logging.DEBUG:
            now = time.monotonic()
            said = self._said.get(msg)
            if said is not None and now - said < REPORT_INTERVAL_S:
                level = logging.DEBUG
            else:
                self._said[msg] = now
        kwargs.setdefault('stacklevel', 2)
        super().log(level, msg, *args, **kwargs)
