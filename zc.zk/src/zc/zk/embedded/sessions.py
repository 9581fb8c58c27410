"""Sessions: clients as they outlive their connections."""
import hmac
import itertools
import secrets
import time
from collections.abc import Iterator
from typing import Any

PASSWORD_BYTES = 16


class Session:
    """A client: its timeout in milliseconds and when that is over."""

    __slots__ = ('connection', 'deadline', 'id', 'password', 'timeout')

    def __init__(self, number: int, timeout: int) -> None:
        self.id = number
        self.timeout = timeout
        self.password = secrets.token_bytes(PASSWORD_BYTES)
        self.connection: Any = None
        self.touch()

    def touch(self) -> None:
        """The client was heard: its time starts again."""
        self.deadline = time.monotonic() + self.timeout / 1000


class Sessions:
    """The sessions that live, by number."""

    def __init__(self, shortest: int, longest: int) -> None:
        self.shortest = shortest
        self.longest = longest
        # Numbers of a former run are not used again.
        self._numbers = itertools.count(time.time_ns() // 1000)
        self._sessions: dict[int, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def get(self, number: int) -> Session | None:
        """The living session of a number."""
        return self._sessions.get(number)

    def open(self, timeout: int) -> Session:
        """A new session, its timeout within the limits."""
        session = Session(next(self._numbers), self._negotiate(timeout))
        self._sessions[session.id] = session
        return session

    def resume(
        self, number: int, password: bytes | None, timeout: int,
    ) -> Session | None:
        """The session that a client comes back for with its password."""
        session = self._sessions.get(number)
        if session is None or not hmac.compare_digest(
            session.password, password or b''
        ):
            return None
        session.timeout = self._negotiate(timeout)
        session.touch()
        return session

    def drop(self, session: Session) -> None:
        """The session has ended."""
        self._sessions.pop(session.id, None)

    def overdue(self) -> list[Session]:
        """The sessions whose clients were not heard in time."""
        now = time.monotonic()
        return [session for session in self._sessions.values()
                if session.deadline <= now]

    def renew(self) -> None:
        """Give every session its whole time again."""
        for session in self._sessions.values():
            session.touch()

    def _negotiate(self, timeout: int) -> int:
        return max(self.shortest, min(timeout, self.longest))
