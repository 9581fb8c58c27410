"""Notice that a request was lost, though its connection lives.

A faulty network may change a request so that the server waits for its end for
ever, and takes all later requests for that. A heartbeat fails then, but only
after up to two thirds of the session time-out.

ZooKeeper makes all changes in one order, and a new session is a change. So
once a request has waited for `DOUBT_S`, a second session is begun at the same
server, and ended. A server that is slow, or stood still, has answered the
request by the time it answers the second session: nothing happens, however
long it takes. If it has not, then the request is lost, and the connection is
given up.

The bound by the session's time-out is that of the heartbeat, which holds
whatever is found out here. The other times do not depend on the session: they
are of the network, in which a packet that is lost is sent again after some
tenths of a second, and of the server, which has to bear the connections.
"""
import fcntl
import socket
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from kazoo.exceptions import ConnectionDropped
from zc.zk.connection import packets
from zc.zk.connection.sockets import shut_down

#: The time for which a request waits before a second session is begun.
DOUBT_S = 1.5

#: The time for a second session to be answered; after that, another begins.
SECOND_SESSION_S = 2.0

#: The number of second sessions in a row that begin without a pause, though
#: the server answers nothing: 20 seconds of them. After each further one, the
#: pause is twice as long, up to `MAX_PAUSE_S`: a server that is about to join
#: its ensemble allows each host as many connections as ``maxClientCnxns`` says
#: (ZooKeeper Administrator's Guide), and counts the connections that its
#: clients have given up as well.
FREE_SECOND_SESSIONS = 10

#: The longest time from one second session to the next. Where nothing was
#: answered for long, a lost request is noticed that late, if no heartbeat
#: fails sooner.
MAX_PAUSE_S = 30.0

#: The time that the answer to a request may come after that to the second
#: session: they are sent by two threads of the server.
ORDER_S = 0.2

#: The interval at which a doubtful connection is looked at.
LOOK_INTERVAL_S = 0.1

#: The number of losses in a row of one type of request that do not count: half
#: a minute of them.  After each further one, requests of this type wait twice
#: as long: maybe the server takes long for this type, and not for others.
FREE_LOSSES = 20

_INT = struct.Struct('i')
_SESSION_TIMEOUT_MS = 4000
_SYNC_XID, _CLOSE_XID = 1, 2


class Unanswered:
    """The requests of one connection that are sent and not answered.

    Only the connection's thread uses it. `connect(timeout_s)` returns another
    connection to the same server, or raises OSError. `unsent()` returns the
    number of bytes that the server has not acknowledged.

    `since` is when the oldest request began to wait, a time.monotonic(): when
    it was sent, or when the server last answered. None: no request waits.
    """

    def __init__(self, connect: Callable[[float], socket.socket],
                 unsent: Callable[[], int]) -> None:
        self._connect = connect
        self._unsent = unsent
        self.since: float | None = None
        self._heartbeat_s = 0.0
        # Type and time of each request, in the order of the answers.
        self._sent: deque[tuple[str, float]] = deque()
        self._second: SecondSession | None = None
        # How many second sessions were begun since the last answer, and when
        # the next one may.
        self._begun = 0
        self._next_second_at = 0.0
        self._last_unsent = 0
        # When more of the requests was last seen to arrive at the server.
        self._arrived_at = 0.0
        # How often in a row requests of a type were lost.
        self._losses: dict[str, int] = {}

    def begin(self, heartbeat_s: float) -> None:
        """Bound the wait for an answer from now on.

        `heartbeat_s` is the longest wait, for a ping half of it. 0: the
        caller bounds it.
        """
        self._heartbeat_s = heartbeat_s

    def clear(self) -> None:
        """Forget all requests, as the connection has ended."""
        self._sent.clear()
        self._move(None)
        if self._begun <= FREE_SECOND_SESSIONS:
            self._next_second_at = 0.0
        self._heartbeat_s = 0.0

    def add(self, kind: str) -> None:
        """Note that a request of a type was sent."""
        now = time.monotonic()
        self._sent.append((kind, now))
        if self.since is None:
            self._move(now)

    def hear(self) -> None:
        """Note that a part of an answer has come."""
        if self.since is not None:
            self.since = time.monotonic()

    def settle(self) -> None:
        """Note that the oldest request was answered."""
        kind, sent = self._sent.popleft()
        now = time.monotonic()
        self._begun, self._next_second_at = 0, now
        if self._losses and now - sent < DOUBT_S:
            self._losses.pop(kind, None)
        self._move(now if self._sent else None)

    def _move(self, since: float | None) -> None:
        self.since = since
        self._last_unsent = 0
        self._abandon_second()

    def _abandon_second(self) -> None:
        if self._second is not None:
            self._second.abandon()
            self._second = None

    def look(self) -> float | None:
        """Return after how many seconds to look again; None: not needed.

        Raises ConnectionDropped if the connection is to be given up.
        """
        if self.since is None:
            return None
        now = time.monotonic()
        waited_s = now - self.since
        kind = self._sent[0][0]
        losses = self._losses.get(kind, 0)
        limit_s = self._heartbeat_s or float('inf')
        if kind == 'Ping' and not losses:
            limit_s /= 2
        if waited_s >= limit_s:
            self._losses[kind] = losses + 1
            raise ConnectionDropped(f'{kind} was not answered within '
                                    f'{waited_s:.1f} s')
        # The heartbeat's limit is long below the last power.
        doubt_s = DOUBT_S * 2 ** min(max(0, losses - FREE_LOSSES), 10)
        doubtful_s = now - max(self.since, self._arrived_at)
        if doubtful_s < doubt_s:
            return min(doubt_s - doubtful_s, limit_s - waited_s)
        if self._is_being_sent():
            # It delays the doubt alone, not the heartbeat: in a network that
            # is cut, too, the number of bytes changes with each request.
            self._arrived_at = now
            self._abandon_second()
        elif self._is_lost(now):
            self._losses[kind] = losses + 1
            raise ConnectionDropped(f'{kind} was not answered within '
                                    f'{waited_s:.1f} s, but a later request '
                                    'was')
        return LOOK_INTERVAL_S

    def _is_being_sent(self) -> bool:
        """Return whether the server may have received more since last time.

        It has not if as many bytes are unsent as at the last look.
        """
        last, self._last_unsent = self._last_unsent, self._unsent()
        return bool(self._last_unsent) and self._last_unsent != last

    def _is_lost(self, now: float) -> bool:
        second = self._second
        if second is not None and second.answered_at is not None:
            self._begun = 0  # they are answered
            return now - second.answered_at > ORDER_S
        if now < self._next_second_at:
            return False
        self._abandon_second()
        self._begun += 1
        vain = min(max(0, self._begun - FREE_SECOND_SESSIONS), 10)
        self._next_second_at = now + min(SECOND_SESSION_S * 2 ** vain,
                                         MAX_PAUSE_S)
        self._second = SecondSession(self._connect)
        with suppress(RuntimeError):  # there are too many threads
            self._second.start()
        return False


class SecondSession(threading.Thread):
    """Begin a session and end it, in a thread of its own.

    `answered_at` is when it was answered, None if it was not yet. `ends_at`
    is when the thread ends at the latest. Both are times of time.monotonic().
    """

    def __init__(self, connect: Callable[[float], socket.socket]) -> None:
        super().__init__(name='zc.zk second session', daemon=True)
        self._connect = connect
        self._connection: socket.socket | None = None
        self._is_abandoned = False
        self.answered_at: float | None = None
        self.ends_at = time.monotonic() + SECOND_SESSION_S

    def run(self) -> None:
        """Send all requests at once: nothing is left if we go before."""
        with suppress(OSError), self._connect(SECOND_SESSION_S) as connection:
            self._connection = connection
            if self._is_abandoned:
                return
            connection.sendall(packets.connect(_SESSION_TIMEOUT_MS)
                               + packets.sync(_SYNC_XID)
                               + packets.close_session(_CLOSE_XID))
            if (packets.receive_connected(connection, self.ends_at)
                    # A session may be local to a server; sync never is.
                    and packets.receive_answer(
                        connection, self.ends_at) == _SYNC_XID):
                self.answered_at = time.monotonic()
                packets.receive_answer(connection, self.ends_at)

    def abandon(self) -> None:
        """Have the thread end soon."""
        self._is_abandoned = True
        if self._connection is not None:
            shut_down(self._connection)


def count_unsent(connection: socket.socket) -> int:
    """Return how many bytes the peer has not acknowledged.

    That is SIOCOUTQ, tcp(7); 0 where the system has none.
    """
    try:
        count, = _INT.unpack(fcntl.ioctl(connection, termios.TIOCOUTQ,
                                         bytes(_INT.size)))
    except OSError:
        return 0
    return count
