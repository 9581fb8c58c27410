"""How often a request is tried, and on which servers.

A connect that fails has sent nothing, and has read nothing of a body: any
request may be tried on another server. When a connection ends before the
answer has begun, the server may have worked on the request: only methods that
are idempotent are sent again (RFC 9110, section 9.2.2), and only with a body
that can be sent again.
"""
from __future__ import annotations

import enum
import time

from zc.zk.balancing.balancer import MAX_TRIES
from zc.zk.balancing.balancer import Balancer
from zc.zk.balancing.balancer import Lease
from zc.zk.balancing.balancer import is_refusal

#: The most servers that may refuse the connect of one request: that takes no
#: time, and does not count as a try.
MAX_REFUSALS = 20

#: The time in seconds for a connect that has no limit of its own, as long as
#: there is another server: a machine that has failed answers nothing.
CONNECT_S = 10.0

#: The shortest time for a connect; the libraries refuse 0.
SHORTEST_S = 0.001

#: The idempotent methods (RFC 9110, section 9.2.2).
IDEMPOTENT = frozenset({'GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'})


class Failure(enum.Enum):
    """What a failed request says of its server."""

    CONNECT = 'no connection could be made: nothing was sent'
    BROKEN = 'the connection ended before the answer'
    OTHER = 'nothing that another server would do better'


def can_repeat(body: object) -> bool:
    """Return whether a body is there as a whole, to be sent once more."""
    return body is None or isinstance(body, bytes | str)


class Attempts:
    """The attempts of one request.

    `can_repeat` is whether the body can be sent again. `timeout` is how long
    connecting may take in all, in seconds; None is without limit.
    """

    def __init__(self, balancer: Balancer, method: str, can_repeat: bool,
                 timeout: float | None = None) -> None:
        self._balancer = balancer
        self._is_idempotent = method.upper() in IDEMPOTENT and can_repeat
        self._deadline = (None if timeout is None
                          else time.monotonic() + timeout)
        self.tried: set[str] = set()
        self._refusals = 0

    @property
    def rest_s(self) -> float | None:
        """The seconds that are left for connecting; None without limit."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic())

    @property
    def connect_s(self) -> float | None:
        """The seconds for the next connect; None without limit.

        The time that is left for the request is shared among the servers that
        may still be tried: when one does not answer, another one has a share.
        """
        left = min(MAX_TRIES, self._balancer.count) - self.tries
        rest_s = self.rest_s
        if rest_s is None:
            return CONNECT_S if left > 1 else None
        return max(SHORTEST_S, rest_s / max(1, left))

    @property
    def tries(self) -> int:
        """The number of servers that were tried, most refusals apart."""
        return len(self.tried) - min(self._refusals, MAX_REFUSALS)

    def first(self) -> Lease:
        """Return a server; raise `NoServers` when there is none."""
        return self._balancer.lease((), self.rest_s)

    def again(self, lease: Lease, error: Exception,
              failure: Failure) -> Lease | None:
        """End a failed attempt; return the next server, or None to give up.

        The caller then raises `error`.
        """
        lease.done(error, failed=failure is not Failure.OTHER)
        self.tried.add(lease.server.name)
        self._refusals += is_refusal(error)
        may_try = (failure is Failure.CONNECT
                   or failure is Failure.BROKEN and self._is_idempotent)
        if not may_try or self.tries >= MAX_TRIES or self.rest_s == 0:
            return None
        found = self._balancer.try_lease(self.tried)
        if found is not None and found.server.name in self.tried:
            found.done()
            return None
        return found
