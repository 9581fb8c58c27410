"""A worker as its parent sees it: a process and a channel."""
from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from collections.abc import Sequence

from zc.zkzopeserver.workers import protocol as channel

# systemd is told by the parent alone.
NOT_INHERITED = 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'


class Worker:
    """A process that serves, from its start to its end.

    It is starting until it says that it is registered, and leaving from when
    it was told to stop, or says that it does.  Times are of `time.monotonic`.
    """

    def __init__(self, command: Sequence[str], limits: channel.Limits,
                 generation: int = 0,
                 beat_interval_s: float | None = None) -> None:
        self.limits = limits
        #: How many rolling restarts had begun when it was started.
        self.generation = generation
        self.address = ''
        self.started_at = time.monotonic()
        self.registered_at: float | None = None
        #: Whether it counts as started before it is registered.
        self.is_serving = False
        #: When its serving loop was last heard, None before the first time.
        self.beat_at: float | None = None
        #: Whether the parent told it to stop.
        self.was_told = False
        self.is_leaving = False
        #: When to end it by SIGKILL.
        self.kill_at: float | None = None
        #: Since when its channel is closed.
        self.deaf_since: float | None = None
        self._lines = channel.Lines()
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        with theirs:
            try:
                self._process = spawn(command, theirs.fileno(),
                                      beat_interval_s)
            except OSError:
                self._channel.close()
                raise
        self.pid = self._process.pid

    def __str__(self) -> str:
        where = f' at {self.address}' if self.address else ''
        return f'worker {self.pid}{where}'

    @property
    def is_registered(self) -> bool:
        """Whether clients find it."""
        return self.registered_at is not None and not self.is_leaving

    @property
    def is_started(self) -> bool:
        """Whether it is what was to be started."""
        return not self.is_leaving and (
            self.registered_at is not None or self.is_serving)

    @property
    def is_starting(self) -> bool:
        """Whether it is still to be registered."""
        return self.registered_at is None and not self.is_leaving

    def fileno(self) -> int:
        """What a selector waits for: the channel."""
        return self._channel.fileno()

    def receive(self, now: float) -> list[str]:
        """Read what it says, as far as it is there; the news in it.

        News are ``hello``, ``registered`` and ``stopping``.
        """
        news = []
        while data := self._read(now):
            for line in self._lines.feed(data):
                word, _, rest = line.partition(' ')
                if self._heard(word, rest, now):
                    news.append(word)
        return news

    def _read(self, now: float) -> bytes:
        if self.deaf_since is not None:
            return b''
        try:
            data = self._channel.recv(channel.LINE_LIMIT)
        except BlockingIOError:
            return b''
        except OSError:
            data = b''
        if not data:
            self.deaf_since = now
        return data

    def _heard(self, word: str, rest: str, now: float) -> bool:
        """Take a message in; whether it is news."""
        if word == 'beat':
            self.beat_at = now
        elif word == 'serving':
            self.is_serving = True
        elif word == 'hello':
            with contextlib.suppress(ValueError):
                self.limits = channel.Limits.decode(rest)
                return True
        elif word == 'registered' and self.registered_at is None:
            self.registered_at = now
            self.address = rest if rest.isprintable() else ''
            return not self.is_leaving
        elif word == 'stopping' and not self.is_leaving:
            self.leave(now + self.limits.stop_s)
            return True
        return False

    def tell(self, line: str) -> None:
        """Send it a message."""
        channel.send(self._channel, line)

    def leave(self, kill_at: float) -> None:
        """It is to be gone by `kill_at`, and SIGKILL then sees to it."""
        self.is_leaving = True
        self.kill_at = kill_at

    def stop(self, kill_at: float, number: int = signal.SIGTERM) -> None:
        """Tell it to stop, by a signal."""
        self.was_told = True
        self.leave(kill_at)
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.kill_at = None
        self._process.kill()

    def status(self) -> int | None:
        """Its exit status, minus the number of a signal; None while it runs.
        """
        return self._process.poll()

    def close(self) -> None:
        """Close the channel; a worker that still runs then stops."""
        self._channel.close()


def spawn(command: Sequence[str], fd: int,
          beat_interval_s: float | None) -> subprocess.Popen[bytes]:
    """Start a worker whose channel is at `fd`.

    In a session of its own: Ctrl-C is the parent's, which then stops its
    workers in order.
    """
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, pass_fds=[fd],
        env=environment(os.environ, fd, beat_interval_s),
        start_new_session=True)


def environment(ours: Mapping[str, str], fd: int,
                beat_interval_s: float | None) -> dict[str, str]:
    """The environment of a worker whose channel is at `fd`."""
    made = {name: value for name, value in ours.items()
            if name not in NOT_INHERITED}
    interval = '' if beat_interval_s is None else f':{beat_interval_s:g}'
    made[channel.VARIABLE] = f'{fd}{interval}'
    return made


def describe(status: int) -> str:
    """How a process ended, from its exit status."""
    if status >= 0:
        return f'ended with status {status}'
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f'signal {-status}'
    return f'was killed by {name}'
