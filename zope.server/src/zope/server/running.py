"""What the threads are doing: the requests that they run, and their stacks."""
from __future__ import annotations

import dataclasses
import sys
import threading
import time
import traceback
from collections.abc import Iterable

from zope.server.connection import Connection


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


def running(connections: Iterable[Connection]) -> list[RunningRequest]:
    """Return the requests that threads run, the oldest first."""
    now = time.monotonic()
    # Once: its thread goes on, and sets the task to None.
    tasks = [connection.task for connection in connections]
    found = [RunningRequest(str(task), now - task.began)
             for task in tasks if task is not None and task.is_running]
    return sorted(found, key=lambda request: -request.age)


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
