"""Commands, each in a thread of its own; `Limits` bounds their number.

A command that hangs must not block the others, least of all those that show
an operator why it hangs. The threads are daemons, so that a command that hangs
does not keep the process from ending.
"""
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from functools import partial
from typing import Any

from zc.monitor import commands
from zc.monitor.limits import Limits
from zc.monitor.session import ClientSession


@dataclass(eq=False)
class Job:
    """A command that a client has sent; `since` is on the monotonic clock."""

    session: ClientSession
    name: str
    args: list[str]
    since: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None


class Jobs:
    """The running commands, and a queue of those that wait for room.

    All methods run in the loop's thread. `post` schedules a call there, from
    any thread. `done(session, result)` is called when a command has ended.
    """

    def __init__(
            self, limits: Limits,
            post: Callable[[Callable[[], None]], None],
            done: Callable[[ClientSession, Any], None]) -> None:
        self._limits = limits
        self._post = post
        self._done = done
        self._running: list[Job] = []
        self._waiting: deque[Job] = deque()

    def submit(
            self, session: ClientSession, name: str, args: list[str]) -> None:
        """Run a command as soon as there is room."""
        self._waiting.append(Job(session, name, args))
        self._post(self.start)

    def start(self) -> None:
        """Start the waiting commands that there is room for, oldest first."""
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            if job.session.finished:
                continue
            if self._has_room(job.name):
                self._start(job)
            else:
                self._waiting.append(job)

    def deadline(self) -> float | None:
        """Return the monotonic time to call `expire` at; None for never."""
        if not self._waiting:
            return None
        return min(job.since for job in self._waiting) + self._limits.wait

    def expire(self, now: float) -> None:
        """Refuse commands that have waited too long; tell what is running."""
        for job in list(self._waiting):
            if job.since + self._limits.wait <= now:
                self._waiting.remove(job)
                self._refuse(job, f'Busy, running {self.describe()}. '
                                  'Try again later.')

    def refuse_waiting(self) -> None:
        """Refuse all waiting commands: the server stops."""
        while self._waiting:
            self._refuse(self._waiting.popleft(), 'The server is stopping.')

    def threads(self) -> list[threading.Thread]:
        """Return the threads of the running commands."""
        return [
            job.thread for job in list(self._running)
            if job.thread is not None and job.thread.is_alive()]

    def describe(self) -> str:
        """Return the running commands and their ages in seconds, in a line."""
        now = time.monotonic()
        return ', '.join(
            f'{job.name[:40]!r} for {now - job.since:.0f} s'
            for job in list(self._running)
            if job.thread is not None and job.thread.is_alive())

    def _has_room(self, name: str) -> bool:
        alike = sum(job.name == name for job in self._running)
        return (len(self._running) < self._limits.commands
                and alike < self._limits.commands_alike)

    def _start(self, job: Job) -> None:
        job.since = time.monotonic()
        job.thread = threading.Thread(
            target=self._run, args=(job,), daemon=True,
            name=f'zc.monitor command {job.name[:40]}')
        self._running.append(job)
        try:
            job.thread.start()
        except RuntimeError as error:  # The system allows no more threads.
            self._running.remove(job)
            self._refuse(job, f'Cannot run {job.name[:40]!r}: {error}.')

    def _run(self, job: Job) -> None:
        result = commands.run(job.session.connection, job.name, job.args)
        self._post(partial(self._command_ended, job, result))

    def _command_ended(self, job: Job, result: Any) -> None:
        self._running.remove(job)
        self._done(job.session, result)
        self.start()

    def _refuse(self, job: Job, line: str) -> None:
        job.session.connection.write_line(line)
        self._done(job.session, None)
