"""What the threads are doing, read off their stacks.

So the requests themselves do nothing for it: a server that nobody looks at
loses no time by this.
"""
from __future__ import annotations

import dataclasses
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from types import FrameType

from zope.server.connection import Connection

# The frame of a thread that runs a request.
_SERVE = Connection.serve.__code__


@dataclasses.dataclass(frozen=True)
class RunningRequest:
    """A request that a thread runs.

    `text` names it as logs do, and `age` is the time in seconds since it was
    complete.
    """

    text: str
    age: float


@dataclasses.dataclass(frozen=True)
class Activity:
    """What the threads of a server are doing at the moment.

    `finished` is a count that grows with each request that a thread has
    finished.  `queued` requests wait for a thread.  `running` are the
    requests that the `threads` run, the oldest first.
    """

    finished: int
    queued: int
    threads: int
    running: tuple[RunningRequest, ...]

    @property
    def is_busy(self) -> bool:
        """Whether every thread runs a request."""
        return len(self.running) >= self.threads


def running(threads: Iterable[threading.Thread]) -> list[RunningRequest]:
    """Return the requests that threads run, the oldest first."""
    frames = sys._current_frames()
    found = []
    now = time.monotonic()
    for thread in threads:
        connection = _connection(frames.get(thread.ident or 0))
        task = None if connection is None else connection.task
        if task is not None:
            found.append(RunningRequest(str(task), now - task.began))
    return sorted(found, key=lambda request: -request.age)


def _connection(frame: FrameType | None) -> Connection | None:
    """Return the connection whose request a stack is in; None for none."""
    while frame is not None:
        if frame.f_code is _SERVE:
            return frame.f_locals.get('self')
        frame = frame.f_back
    return None


def stacks(threads: Iterable[threading.Thread]) -> str:
    """Return the stacks of threads as text, innermost call last."""
    frames = sys._current_frames()
    lines = []
    for thread in threads:
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            lines.append(f'Thread {thread.name}:\n')
            lines += traceback.format_stack(frame)
    return ''.join(lines)
