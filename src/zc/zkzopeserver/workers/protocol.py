"""The channel between a parent and a worker: a socketpair, a line a message.

The worker says::

    hello {"workers": 4, ...}   the options that its parent goes by
    serving                     it counts as started, with ``wait = serve``
    registered 127.0.0.1:8080   its node is in ZooKeeper
    stopping                    it has begun to stop
    beat                        its serving loop goes round

and the parent::

    reopen                      open the log files anew
    hurry                       stop, and wait for nothing

It tells a worker to stop by SIGTERM, which also reaches those that do not yet
listen.  The end of the file, at either end, means that the other process is
gone.

A worker learns that it is one, and of its end of the socketpair, from an
environment variable, which it removes: its own children are no workers.
"""
from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from collections.abc import Mapping

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options

logger = logging.getLogger('zc.zkzopeserver.workers')

# FD, or FD:SECONDS when a beat is wanted every so many seconds.
VARIABLE = 'ZC_ZKZOPESERVER_WORKER'

# Seconds that a stop may take beyond what the options give it.
MARGIN_S = 10

# A message is far shorter; who sends more without a line's end is no worker.
LINE_LIMIT = 4096


@dataclasses.dataclass(frozen=True)
class Limits:
    """The options that a parent goes by.

    A worker has read the ini after its parent did: its own are the newer.
    """

    workers: int
    ready_timeout: float
    graceful_timeout: float
    deregister_wait: float

    @classmethod
    def of(cls, options: Options) -> Limits:
        """The limits that a section's options set."""
        return cls(*(getattr(options, field.name)
                     for field in dataclasses.fields(cls)))

    @property
    def stop_s(self) -> float:
        """Seconds after which a worker that stops is hung."""
        return self.graceful_timeout + self.deregister_wait + MARGIN_S

    def encode(self) -> str:
        """As `decode` takes it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def decode(cls, text: str) -> Limits:
        """The limits of a worker's hello; ValueError when it is none."""
        try:
            limits = cls(**json.loads(text))
            if limits.workers >= 1 and limits.stop_s >= 0:
                return limits
        except (TypeError, RecursionError):
            pass
        raise ValueError(f'no limits: {text[:80]!r}')


class Lines:
    """Bytes in, whole lines out."""

    def __init__(self) -> None:
        self._rest = b''

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        *lines, rest = (self._rest + data).split(b'\n')
        self._rest = rest[:LINE_LIMIT]
        return [line.decode('utf-8', 'replace') for line in lines]


def send(sock: socket.socket, line: str) -> None:
    """Send a message, or drop it: to a full channel, or to nobody.

    It never blocks and takes no lock, so that signal handlers may call it.
    """
    with contextlib.suppress(OSError):
        sock.send(line.encode() + b'\n', socket.MSG_DONTWAIT)


class Link:
    """A worker's end of its channel.

    `beat_interval_s` is how often the parent wants to hear a beat; None for
    not at all.
    """

    def __init__(self, sock: socket.socket,
                 beat_interval_s: float | None = None) -> None:
        self.beat_interval_s = beat_interval_s
        self._sock = sock
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def hello(self, limits: Limits) -> None:
        """Tell the parent what to go by."""
        send(self._sock, f'hello {limits.encode()}')

    def serving(self) -> None:
        """Tell the parent that we serve, registered or not."""
        send(self._sock, 'serving')

    def registered(self, address: str) -> None:
        """Tell the parent that the node is there."""
        send(self._sock, f'registered {address}')

    def stopping(self) -> None:
        """Tell the parent that no more is to be expected."""
        send(self._sock, 'stopping')

    def beat(self) -> None:
        """Tell the parent that the serving loop goes round."""
        send(self._sock, 'beat')

    def attend(self, orders: Mapping[str, Callable[[], None]],
               on_gone: Callable[[], None], limit_s: float) -> None:
        """Begin to listen to the parent, in a thread.

        `orders` has what to call for each message, and `on_gone` is called
        when the parent is gone.  A worker that has not ended `limit_s` seconds
        later is ended: nobody else is there to do that.
        """
        self._thread = threading.Thread(
            target=self._listen, args=(orders, on_gone, limit_s),
            name='zc.zkzopeserver.workers.supervisor', daemon=True)
        self._thread.start()

    def _listen(self, orders: Mapping[str, Callable[[], None]],
                on_gone: Callable[[], None], limit_s: float) -> None:
        lines = Lines()
        while data := self._receive():
            for line in lines.feed(data):
                if line in orders:
                    orders[line]()
        if self._closed.is_set():
            return
        logger.warning('the parent process is gone: stopping')
        on_gone()
        if not self._closed.wait(limit_s):
            logger.critical('not stopped in %g s: ending at once', limit_s)
            os._exit(1)

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(LINE_LIMIT)
        except OSError:
            return b''

    def close(self) -> None:
        """End the channel; the parent takes it for our end."""
        self._closed.set()
        with contextlib.suppress(OSError):
            # Wakes the thread.
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self._sock.close()


@functools.cache
def link() -> Link | None:
    """This process's link to its parent; None when it is not a worker.

    ConfigurationError when the variable was set by somebody else.
    """
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return None
    number, _, interval = value.partition(':')
    try:
        sock = socket.socket(fileno=int(number))
        sock.set_inheritable(False)
        return Link(sock, float(interval) if interval else None)
    except (ValueError, OSError):
        raise ConfigurationError(
            f'environment variable {VARIABLE}: {value!r} names no channel to'
            ' a parent process; it is not for setting by hand') from None


def is_parent(workers: int) -> bool:
    """Whether a process with this many `workers` is their parent.

    A parent serves nothing, so it needs no application.
    """
    return workers > 1 and link() is None
