"""`ThreadedTaskDispatcher` of zope.server 5: how many threads a server has.

Since zope.server 6 each server has threads of its own.  A dispatcher tells a
server how many to start, and stops the servers that were given it.
"""
from __future__ import annotations

import logging
import weakref

from zope.server.server import Server

logger = logging.getLogger('zope.server')


class ThreadedTaskDispatcher:
    """The number of threads that run an application.

    `count` is what `setThreadCount` has set, 0 before.  A server without
    threads is refused.
    """

    def __init__(self) -> None:
        self.count = 0
        self._servers: weakref.WeakSet[Server] = weakref.WeakSet()

    def setThreadCount(self, count: int) -> None:
        """Set how many threads servers start that are made from now on."""
        if self._servers and count != self.count:
            logger.warning('a server that was made before setThreadCount(%d)'
                           ' stays with its %d threads', count, self.count)
        self.count = count

    def add(self, server: Server) -> None:
        """Have `shutdown` stop this server, too."""
        self._servers.add(server)

    def addTask(self, task: object) -> None:
        """Raise NotImplementedError: only servers give their threads work."""
        raise NotImplementedError(
            'since zope.server 6 a dispatcher runs nothing but requests; use'
            ' concurrent.futures.ThreadPoolExecutor for other tasks')

    def shutdown(self, cancel_pending: bool = True,
                 timeout: float = 5) -> None:
        """Stop the servers: drain each for `timeout` seconds, and close it.

        Requests that wait for a thread are run in that time.  If they are
        not to run, `cancel_pending` is true, as by default, and `timeout` 0.
        """
        for server in list(self._servers):
            server.drain(timeout)
            server.close()

    def getPendingTasksEstimate(self) -> int:
        """Return about how many requests wait for a thread."""
        return sum(server.statistics().queued for server in self._servers)
