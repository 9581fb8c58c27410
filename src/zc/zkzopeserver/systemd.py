"""Tell systemd how we are: the sd_notify protocol.

A datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names;
see sd_notify(3).  Nothing happens where the variable is not set.
"""
from __future__ import annotations

import logging
import os
import socket

logger = logging.getLogger('zc.zkzopeserver.systemd')


def notify(state: str) -> bool:
    """Send `state` (``READY=1``); whether there was somebody to tell."""
    path = os.environ.get('NOTIFY_SOCKET')
    if not path:
        return False
    if path.startswith('@'):
        # Linux's abstract name space.
        path = '\0' + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(path)
            sock.send(state.encode())
        except OSError as reason:
            logger.warning('cannot notify %s of %s: %s',
                           os.environ['NOTIFY_SOCKET'], state, reason)
            return False
    return True


def watchdog_interval_s() -> float | None:
    """Seconds between two ``WATCHDOG=1``, when systemd asks for them.

    Half of ``WATCHDOG_USEC``, as sd_watchdog_enabled(3) advises.
    """
    microseconds = os.environ.get('WATCHDOG_USEC', '')
    pid = os.environ.get('WATCHDOG_PID', '')
    if not microseconds.isdigit() or pid not in ('', str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000 or None
