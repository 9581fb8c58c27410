"""systemd's notifications: the protocol of sd_notify(3).

A notification is a datagram of ``NAME=value`` lines to the socket that the
environment variable ``NOTIFY_SOCKET`` names.
"""
from __future__ import annotations

import logging
import os
import socket

logger = logging.getLogger('zc.zkzopeserver.systemd')


def notify(state: str) -> bool:
    """Send `state`, such as ``READY=1``; return whether that was possible.

    False without the variable, and, with a warning, for a socket that cannot
    be written to.
    """
    path = os.environ.get('NOTIFY_SOCKET')
    if not path:
        return False
    if path.startswith('@'):
        # Linux's abstract name space: unix(7).
        path = '\0' + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(path)
            sock.send(state.encode())
        except OSError as error:
            logger.warning('cannot notify %s of %s: %s',
                           os.environ['NOTIFY_SOCKET'], state, error)
            return False
    return True


def watchdog_interval_s() -> float | None:
    """Return the seconds between two ``WATCHDOG=1``; None for no watchdog.

    That is half of ``WATCHDOG_USEC``, as sd_watchdog_enabled(3) advises.
    """
    microseconds = os.environ.get('WATCHDOG_USEC', '')
    pid = os.environ.get('WATCHDOG_PID', '')
    if not microseconds.isdigit() or pid not in ('', str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000 or None
