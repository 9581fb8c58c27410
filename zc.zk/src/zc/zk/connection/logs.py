"""Keep kazoo's log messages free of secrets and of repetitions."""
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
    """Log each of kazoo's messages once a minute, else at level DEBUG.

    A disconnected kazoo logs every attempt to connect, about once a second.
    Messages are the same if their texts before formatting are equal.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})
        self._logged_at: dict[str, float] = {}

    def reset(self) -> None:
        """Forget what was logged: every message may come at once again."""
        self._logged_at = {}

    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log, at level DEBUG what was logged within the last minute."""
        if level > logging.DEBUG:
            now = time.monotonic()
            before = self._logged_at.get(msg)
            if before is not None and now - before < REPORT_INTERVAL_S:
                level = logging.DEBUG
            else:
                self._logged_at[msg] = now
        kwargs.setdefault('stacklevel', 2)
        super().log(level, msg, *_without_passwords(msg, args), **kwargs)


def _without_passwords(msg: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hide the session's password, which kazoo logs in hexadecimal."""
    if 'passwd' not in str(msg):
        return args
    return tuple('<hidden>' if isinstance(arg, bytes) else arg
                 for arg in args)
