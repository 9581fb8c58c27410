"""Tell systemd: the protocol of sd_notify(3).

zc.zkzopeserver has the same for servers, in ``systemd.py``. It stays there:
the parent of several workers tells systemd as well, and must not import kazoo
for it as it starts, which takes a tenth of a second.
"""
from __future__ import annotations

import logging
import os
import socket
import time

logger = logging.getLogger('zc.zk.follow')


def notify(state: str) -> None:
    """Send `state`, such as ``READY=1``, if systemd has started us."""
    path = os.environ.get('NOTIFY_SOCKET')
    if not path:
        return
    address = '\0' + path[1:] if path.startswith('@') else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(address)
            sock.send(state.encode())
        except OSError as error:
            logger.warning('cannot notify %s of %s: %s', path, state, error)


class Watchdog:
    """Tell systemd that the loop goes round; see sd_watchdog_enabled(3)."""

    def __init__(self) -> None:
        microseconds = os.environ.get('WATCHDOG_USEC', '')
        pid = os.environ.get('WATCHDOG_PID', '')
        self.interval: float | None = None
        if microseconds.isdigit() and pid in ('', str(os.getpid())):
            self.interval = int(microseconds) / 2_000_000 or None
        self._due = 0.0

    def alive(self) -> None:
        """Send ``WATCHDOG=1``, if that is due."""
        now = time.monotonic()
        if self.interval and now >= self._due:
            self._due = now + self.interval / 2
            notify('WATCHDOG=1')
