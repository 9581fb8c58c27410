"""Sessions, which outlive the connections of their clients.

See "ZooKeeper Sessions" in the ZooKeeper Programmer's Guide.
"""
import hmac
import itertools
import secrets
import time
from collections.abc import Iterator
from typing import Protocol

PASSWORD_BYTES = 16


class Connected(Protocol):
    """The connection of a session's client, as a session knows it."""

    def dismiss(self) -> None:
        """Close the connection once its output is sent."""


class Session:
    """A client's session.

    `timeout` is in milliseconds. `deadline` is the time of the monotonic
    clock, in seconds, at which the session expires. `connection` is the
    client's `Connected` end, None while it has none.
    """

    __slots__ = ('connection', 'deadline', 'id', 'password', 'timeout')

    def __init__(self, number: int, timeout: int) -> None:
        self.id = number
        self.timeout = timeout
        self.password = secrets.token_bytes(PASSWORD_BYTES)
        self.connection: Connected | None = None
        self.touch()

    def touch(self) -> None:
        """Let the timeout start again, as the client was heard."""
        self.deadline = time.monotonic() + self.timeout / 1000


class Sessions:
    """The live sessions by number.

    `shortest` and `longest` are the bounds of their timeouts, in milliseconds.
    """

    def __init__(self, shortest: int, longest: int) -> None:
        self.shortest = shortest
        self.longest = longest
        # The clock is the start: no number of a former run is used again.
        self._numbers = itertools.count(time.time_ns() // 1000)
        self._sessions: dict[int, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def get(self, number: int) -> Session | None:
        """Return the live session of a number, None when there is none."""
        return self._sessions.get(number)

    def open(self, timeout: int) -> Session:
        """Return a new session, its timeout within the bounds."""
        session = Session(next(self._numbers), self._negotiate(timeout))
        self._sessions[session.id] = session
        return session

    def resume(
        self, number: int, password: bytes | None, timeout: int,
    ) -> Session | None:
        """Return the session that a client resumes after a reconnect.

        Return None when there is none, or the password is wrong.
        """
        session = self._sessions.get(number)
        if session is None or not hmac.compare_digest(
            session.password, password or b''
        ):
            return None
        session.timeout = self._negotiate(timeout)
        session.touch()
        return session

    def drop(self, session: Session) -> None:
        """Forget a session that has ended."""
        self._sessions.pop(session.id, None)

    def overdue(self) -> list[Session]:
        """Return the sessions whose deadline has passed."""
        now = time.monotonic()
        return [session for session in self._sessions.values()
                if session.deadline <= now]

    def renew(self) -> None:
        """Let the timeout of every session start again."""
        for session in self._sessions.values():
            session.touch()

    def _negotiate(self, timeout: int) -> int:
        return max(self.shortest, min(timeout, self.longest))
