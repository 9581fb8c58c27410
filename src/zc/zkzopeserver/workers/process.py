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

from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.workers import protocol
from zc.zkzopeserver.workers.protocol import WorkerOptions

# Only the parent talks to systemd.
NOT_INHERITED = 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'

# Seconds of silence after which another one is started, which takes a while.
OVERDUE_S = 1.5


class Worker:
    """A process that serves, from its start to its end.

    A worker is starting until it says that it is registered.  It is stopping
    from when the parent tells it to, or from when it says so.  All times are
    of `time.monotonic`.
    """

    def __init__(self, command: Sequence[str], options: WorkerOptions,
                 generation: int = 0,
                 beat_interval_s: float | None = None) -> None:
        self.options = options
        #: How many rolling restarts had begun when it was started.
        self.generation = generation
        #: Where it is registered, ``HOST:PORT,...``; empty before.
        self.address = ''
        self.started_at = time.monotonic()
        self.registered_at: float | None = None
        #: Whether it counts as started before it is registered.
        self.is_serving = False
        #: When its serving loop was last heard, None before the first time.
        self.beat_at: float | None = None
        #: Whether it was not heard for `overdue_s`, and may be silent.
        self.is_overdue = False
        self.overdue_s = OVERDUE_S
        #: Whether it was not heard for so long that its session is ended.
        self.is_silent = False
        #: ``hung``, ``unhealthy`` or '': what it says of itself.
        self.trouble = ''
        #: Whether it said that it will hang in a moment.
        self.is_about_to_hang = False
        #: Whether that was false once: then only a hang counts.
        self.had_false_alarm = False
        #: When it said that it hangs; None when it does not.
        self.hung_at: float | None = None
        #: Since when another one is to take its place, as it is stuck; None
        #: for not.
        self.substituted_at: float | None = None
        #: Whether it was overdue then.
        self.was_overdue = False
        #: Why it is to be replaced although it is well; '' while it is not.
        self.used_up = ''
        #: Its memory when it was first looked at, in bytes; None before.
        self.first_memory: int | None = None
        #: Whether the parent told it to stop.
        self.stop_requested = False
        self.is_stopping = False
        #: When to end it by SIGKILL; None for never.
        self.kill_at: float | None = None
        #: When its channel was closed; None while it is open.
        self.channel_closed_at: float | None = None
        #: What ends its ZooKeeper session if it dies; None for nothing.
        self.session: SessionKey | None = None
        self._lines = protocol.LineDecoder()
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
        """Whether clients find it in ZooKeeper."""
        return (self.registered_at is not None and not self.is_stopping
                and not self.is_silent and not self.trouble)

    @property
    def is_started(self) -> bool:
        """Whether it is registered, or serves where that is enough."""
        return not self.is_stopping and (
            self.registered_at is not None or self.is_serving)

    @property
    def is_starting(self) -> bool:
        """Whether it is still to be registered."""
        return self.registered_at is None and not self.is_stopping

    def silence_s(self, now: float) -> float | None:
        """Return the seconds since its last beat; None before the first."""
        return None if self.beat_at is None else now - self.beat_at

    @property
    def answers_nobody(self) -> bool:
        """Whether it hangs, or was not heard for too long."""
        return self.is_overdue or self.hung_at is not None

    @property
    def is_stuck(self) -> bool:
        """Whether it answers nobody, or most likely will not in a moment."""
        return (self.answers_nobody
                or self.is_about_to_hang and not self.had_false_alarm)

    @property
    def end_at(self) -> float | None:
        """When it is to be ended, as it is stuck; None for never.

        One that is silent only where another one takes its place.
        """
        after_s = self.options.hung_kill_after
        since = self.substituted_at if self.hung_at is None else self.hung_at
        if since is None or self.is_stopping or not after_s:
            return None
        return since + after_s

    def fileno(self) -> int:
        """Return the file descriptor of the channel, for a selector."""
        return self._channel.fileno()

    def receive(self, now: float) -> list[str]:
        """Take in the messages that have arrived; return the news in them.

        News are ``hello``, ``registered`` and ``stopping``.
        """
        news = []
        while data := self._read(now):
            for line in self._lines.feed(data):
                word, _, rest = line.partition(' ')
                if self._take(word, rest, now):
                    news.append(word)
        return news

    def _read(self, now: float) -> bytes:
        if self.channel_closed_at is not None:
            return b''
        try:
            data = self._channel.recv(protocol.LINE_LIMIT_BYTES)
        except BlockingIOError:
            return b''
        except OSError:
            data = b''
        if not data:
            self.channel_closed_at = now
        return data

    def _take(self, word: str, rest: str, now: float) -> bool:
        """Take in a message; return whether it is news."""
        if word == 'beat':
            self.beat_at = now
        elif word == 'serving':
            self.is_serving = True
        elif word == 'hello':
            with contextlib.suppress(ValueError):
                self.options = WorkerOptions.decode(rest)
                return True
        elif word == 'trouble':
            self.trouble = rest if rest.isalpha() else ''
            self.hung_at = now if rest == 'hung' else None
        elif word == 'hanging':
            self.had_false_alarm |= (rest != '1' and self.is_about_to_hang
                                    and self.hung_at is None)
            self.is_about_to_hang = rest == '1'
        elif word == 'used' and rest.isdecimal():
            self.used_up = self.used_up or f'has served {rest} requests'
        elif word == 'session':
            self.session = None
            with contextlib.suppress(ValueError):
                self.session = SessionKey.decode(rest) if rest else None
        elif word == 'registered' and self.registered_at is None:
            self.registered_at = now
            self.address = rest if rest.isprintable() else ''
            return not self.is_stopping
        elif word == 'stopping' and not self.is_stopping:
            self.mark_stopping(now + self.options.stop_s)
            return True
        return False

    def tell(self, line: str) -> None:
        """Send it a message."""
        protocol.send(self._channel, line)

    def mark_stopping(self, kill_at: float) -> None:
        """Note that it stops, and is to be killed at `kill_at`."""
        self.is_stopping = True
        self.kill_at = kill_at

    def stop(self, kill_at: float, number: int = signal.SIGTERM) -> None:
        """Tell it by a signal to stop; it is to be killed at `kill_at`."""
        self.stop_requested = True
        self.mark_stopping(kill_at)
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        self.kill_at = None
        self._process.kill()

    def status(self) -> int | None:
        """Return its exit status, minus the number of a signal that killed it.

        None while it runs.
        """
        return self._process.poll()

    def close(self) -> None:
        """Close the channel; a worker that still runs then stops."""
        self._channel.close()


def spawn(command: Sequence[str], fd: int,
          beat_interval_s: float | None) -> subprocess.Popen[bytes]:
    """Start a worker whose end of the channel is the file descriptor `fd`.

    The worker gets a session of its own (setsid(2)), so that a Ctrl-C reaches
    only the parent, which then stops its workers in order.
    """
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, pass_fds=[fd],
        env=environment(os.environ, fd, beat_interval_s),
        start_new_session=True)


def environment(ours: Mapping[str, str], fd: int,
                beat_interval_s: float | None) -> dict[str, str]:
    """Return the environment of a worker, made of the parent's."""
    made = {name: value for name, value in ours.items()
            if name not in NOT_INHERITED}
    interval = '' if beat_interval_s is None else f':{beat_interval_s:g}'
    made[protocol.VARIABLE] = f'{fd}{interval}'
    return made


def describe(status: int) -> str:
    """Return how a process ended, from its exit status, as part of a text."""
    if status >= 0:
        return f'ended with status {status}'
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f'signal {-status}'
    return f'was killed by {name}'
