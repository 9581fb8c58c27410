"""The sessions of workers that have died or hang: the parent ends them.

So the nodes of such a worker go at once, and not when its session times out.
"""
from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.sessionkeys import SessionKey

logger = logging.getLogger('zc.zkzopeserver.sessions')

# The first and the longest pause between two attempts, in seconds.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

# How long the end of the parent waits for the attempts, in seconds.
CLOSE_S = 2.0


class SessionEnder:
    """Ends sessions, each in a thread of its own: the parent never waits.

    `session_file` is the server's, in which dead workers have left their
    keys; None without one.
    """

    def __init__(self, session_file: SessionFile | None = None) -> None:
        self._session_file = session_file
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def end(self, key: SessionKey, who: str,
            is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Begin to end a session of `who`, a worker.

        The attempts go on while ZooKeeper does not answer, and `is_wanted`
        returns true.
        """
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(
            target=self._run, args=(key, who, is_wanted),
            name='zc.zkzopeserver.session', daemon=True)
        self._threads.append(thread)
        thread.start()

    def prepare(self, key: SessionKey) -> None:
        """Import what it takes to end a session like this, in a thread."""
        threading.Thread(target=key.prepare, daemon=True,
                         name='zc.zkzopeserver.session').start()

    def _run(self, key: SessionKey, who: str,
             is_wanted: Callable[[], bool]) -> None:
        pause_s, has_complained = FIRST_PAUSE_S, False
        while is_wanted():
            try:
                was_there = key.end()
            except Exception as error:  # noqa: BLE001 (a thread's edge)
                if not has_complained:
                    has_complained = True
                    logger.warning('%s is not ended: %s; trying again', key,
                                   error)
            else:
                if was_there:
                    logger.info('ended the session of %s', who)
                if self._session_file is not None:
                    self._session_file.discard(key.session)
                return
            if self._closed.wait(pause_s):
                return
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Wait for the attempts, a short time."""
        self._closed.set()
        deadline = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
