"""Commands, each running in a thread of its own, only so many at a time.

A command that hangs must not keep the others from being answered, least of
all the ones with which one finds out why it hangs. The threads are daemons:
a hanging command doesn't keep the process from ending either.
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
from zc.monitor.session import Session


@dataclass(eq=False)
class Job:
    """A command that a client asked for."""

    session: Session
    name: str
    args: list[str]
    since: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None


class Jobs:
    """The commands that run, and the ones that wait for room.

    Used in the loop's thread only; ``post`` brings a call there from others.
    """

    def __init__(
            self, limits: Limits,
            post: Callable[[Callable[[], None]], None],
            done: Callable[[Session, Any], None]) -> None:
        self._limits = limits
        self._post = post
        self._done = done
        self._running: list[Job] = []
        self._waiting: deque[Job] = deque()

    def submit(self, session: Session, name: str, args: list[str]) -> None:
        """Run a command as soon as there is room."""
        self._waiting.append(Job(session, name, args))
        self._post(self.start)

    def start(self) -> None:
        """Start what there is room for; first come, first served."""
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            if job.session.finished:
                continue
            if self._has_room(job.name):
                self._start(job)
            else:
                self._waiting.append(job)

    def deadline(self) -> float | None:
        """Return when to call `expire`, if ever."""
        if not self._waiting:
            return None
        return min(job.since for job in self._waiting) + self._limits.wait

    def expire(self, now: float) -> None:
        """Tell those that have waited too long what they waited for."""
        for job in list(self._waiting):
            if job.since + self._limits.wait <= now:
                self._waiting.remove(job)
                self._refuse(job, f'Busy, running {self.describe()}. '
                                  'Try again later.')

    def forget_waiting(self) -> None:
        """Start no more of what waits."""
        while self._waiting:
            self._refuse(self._waiting.popleft(), 'The server is stopping.')

    def threads(self) -> list[threading.Thread]:
        """Return the threads of the commands that are running."""
        return [
            job.thread for job in list(self._running)
            if job.thread is not None and job.thread.is_alive()]

    def describe(self) -> str:
        """Return what is running, and for how long, on one line."""
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
        except RuntimeError as error:  # The system has no more threads.
            self._running.remove(job)
            self._refuse(job, f'Cannot run {job.name[:40]!r}: {error}.')

    def _run(self, job: Job) -> None:
        result = commands.run(job.session.connection, job.name, job.args)
        self._post(partial(self._ended, job, result))

    def _ended(self, job: Job, result: Any) -> None:
        self._running.remove(job)
        self._done(job.session, result)
        self.start()

    def _refuse(self, job: Job, line: str) -> None:
        job.session.connection.say(line)
        self._done(job.session, None)
