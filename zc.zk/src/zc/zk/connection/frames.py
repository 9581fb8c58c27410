"""Frames of ZooKeeper's answers, checked as those of a hostile server.

A frame is an integer of 4 bytes, and the number of bytes that it tells
(ZooKeeper's source, zookeeper.jute and ClientCnxnSocketNIO). kazoo takes each
length and each code as it comes.
"""
from __future__ import annotations

import struct
import time
from collections.abc import Callable

from kazoo.exceptions import EXCEPTIONS
from kazoo.exceptions import ConnectionDropped
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ZookeeperError
from kazoo.protocol.serialization import Connect
from kazoo.protocol.serialization import int_struct

#: The longest frame that is read. ZooKeeper sends at most 1 MiB, unless its
#: administrator has raised ``jute.maxbuffer``.
MAX_FRAME_BYTES = 64 << 20

#: The most bytes that are asked for at once.
MAX_PART_BYTES = 1 << 20

#: The longest pause in the middle of a frame. A packet that is lost is sent
#: again within this time, several times.
STALL_S = 2.0

#: The length of a session's password, in bytes.
PASSWORD_BYTES = 16

#: The longest time between two heartbeats, for a server that has negotiated
#: a longer session time-out than was asked for, in milliseconds.
MAX_UNASKED_TIMEOUT_MS = 10_000

#: The number of answers in a row about a session that was not asked for, after
#: which a new one is begun.
MAX_OTHER_SESSIONS = 3

#: The codes of ZooKeeper's errors are above this number: see KeeperException
#: in ZooKeeper's source.
LEAST_CODE = -1000


class MalformedFrame(ConnectionDropped):
    """A frame that no ZooKeeper sends; kazoo then drops the connection."""


class SessionPassword(bytes):
    """The password of a session, which no text shows.

    Who has it can end the session, and with it the registrations.
    """

    def __repr__(self) -> str:
        return "b'<hidden>'"

    __str__ = __repr__


class SessionRequest(Connect):
    """The first request of a connection, and its answer, without secrets."""

    def __repr__(self) -> str:
        return (f'Connect(session_id={self.session_id}, '
                f'time_out={self.time_out}, '
                f'last_zxid_seen={self.last_zxid_seen}, passwd=<hidden>)')

    __str__ = __repr__

    def read_answer(self, frame: bytes) -> SessionRequest:
        """Return the answer to this request; raise MalformedFrame."""
        try:
            answer, end = type(self).deserialize(frame, 0)
        except (struct.error, ValueError) as error:
            raise MalformedFrame(f'no answer to Connect: {error}') from None
        password = answer.passwd
        if (password is None or len(password) != PASSWORD_BYTES
                or end != len(frame)):
            raise MalformedFrame('no answer to Connect')
        if answer.read_only and not self.read_only:
            raise MalformedFrame('a read-only session, which was not asked '
                                 'for')
        if (answer.time_out > 0) != (answer.session_id != 0):
            # A session that has ended is answered with 0 for both.
            raise MalformedFrame(
                f'the session {answer.session_id} with a time-out of '
                f'{answer.time_out} ms')
        # With a time-out that is too long, heartbeats would come too late.
        limit = max(self.time_out, MAX_UNASKED_TIMEOUT_MS)
        return answer._replace(passwd=SessionPassword(password),
                               time_out=min(answer.time_out, limit))


class SessionAnswers:
    """Compare the answers to Connect with what is known already.

    A server answers with the session that was asked for, or with none. All
    servers of an ensemble negotiate the same time-out. An answer that differs
    is refused, as it may have been changed on its way, but not for ever.
    """

    def __init__(self) -> None:
        # The number of answers in a row about another session.
        self._others = 0
        # Time-outs that are taken: the last one, and one that was refused.
        self._timeouts_ms: tuple[int, ...] = ()

    def check(self, request: SessionRequest, answer: SessionRequest) -> None:
        """Raise MalformedFrame for an answer that differs.

        Raises SessionExpiredError after `MAX_OTHER_SESSIONS` answers about
        other sessions than the one that was asked for.
        """
        if answer.time_out <= 0:
            self._others = 0
            return
        if request.session_id and (
                (answer.session_id, answer.passwd)
                != (request.session_id, request.passwd)):
            self._others += 1
            if self._others == MAX_OTHER_SESSIONS:
                self._others = 0
                raise SessionExpiredError()
            raise MalformedFrame('a session that was not asked for')
        self._others = 0
        if self._timeouts_ms and answer.time_out not in self._timeouts_ms:
            self._timeouts_ms = self._timeouts_ms[0], answer.time_out
            raise MalformedFrame(
                f'a session time-out of {answer.time_out} ms, and '
                f'{self._timeouts_ms[0]} ms before')
        self._timeouts_ms = answer.time_out,


class FrameReader:
    """Read the frames of one connection, in bounded time and memory.

    `receive(count, wait_s)` returns 1 to `count` bytes, after `wait_s`
    seconds at most; else it raises the error that ends the connection.
    """

    def __init__(self, receive: Callable[[int, float], bytes]) -> None:
        self._receive = receive

    def read(self, wait_s: float) -> bytes:
        """Return the next frame, which begins within `wait_s` seconds.

        Once it has begun, it may pause for `STALL_S`, and takes
        1.5 * `wait_s` at most: as long as a session lives without requests,
        if `wait_s` is what kazoo waits for an answer. Raises MalformedFrame
        for an impossible length or a frame that takes longer.
        """
        first = self._receive(int_struct.size, wait_s)
        end = time.monotonic() + 1.5 * wait_s
        wait_s = min(wait_s, STALL_S)
        prefix = self._complete(first, int_struct.size, wait_s, end)
        length, = int_struct.unpack(prefix)
        if not 0 <= length <= MAX_FRAME_BYTES:
            raise MalformedFrame(f'a frame of {length} bytes')
        return self._complete(b'', length, wait_s, end)

    def _complete(self, data: bytes, length: int, wait_s: float,
                  end: float) -> bytes:
        parts, missing = [data], length - len(data)
        while missing:
            if time.monotonic() > end:
                raise MalformedFrame(f'{missing} of {length} bytes are late')
            parts.append(self._receive(min(missing, MAX_PART_BYTES), wait_s))
            missing -= len(parts[-1])
        return b''.join(parts)


def answered_error(code: int) -> ZookeeperError:
    """Return the exception for the code of an error in an answer.

    Raises MalformedFrame if the code is none of ZooKeeper's.
    """
    if not LEAST_CODE < code < 0:
        raise MalformedFrame(f'an answer with the error {code}')
    if code in EXCEPTIONS:
        return EXCEPTIONS[code]()
    return ZookeeperError(f'error {code}, of a newer ZooKeeper')
