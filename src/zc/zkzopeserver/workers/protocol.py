"""The channel between a parent and a worker: a socketpair, a line a message.

The worker says::

    hello {"workers": 4, ...}   the options that its parent goes by
    serving                     it counts as started, with ``wait = serve``
    session {"pid": 123, ...}   the key of its new ZooKeeper session
    session                     it has no nodes any more
    registered 127.0.0.1:8080   its node is in ZooKeeper
    stopping                    it has begun to stop
    trouble hung                it hangs, or is unhealthy; nothing: it is well
    hanging 1                   it will hang if it goes on like this; 0: not
    used 1017                   it has served as many requests as it is to
    beat                        its serving loop goes round

and the parent::

    reopen                      open the log files anew
    hurry                       stop, and wait for nothing

The parent tells a worker to stop by SIGTERM, which also reaches a worker that
does not listen yet.  The end of the file, at either end, means that the other
process is gone.

A process learns that it is a worker, and its end of the socketpair, from an
environment variable, which it removes: its own children are no workers.
"""
from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.sessionkeys import SessionKey

logger = logging.getLogger('zc.zkzopeserver.workers')

# FD, or FD:SECONDS when the parent wants a beat at that interval.
VARIABLE = 'ZC_ZKZOPESERVER_WORKER'

# Seconds that a stop may take beyond what the options give it.
MARGIN_S = 10

# A message is far shorter; a peer that sends more without a line's end is no
# worker.
LINE_LIMIT_BYTES = 4096


class WorkerOptions(NamedTuple):
    """The options of a worker that its parent goes by; times in seconds.

    A worker has read the ini after its parent did: its own are the newer.
    """

    workers: int
    ready_timeout: float
    graceful_timeout: float
    deregister_wait: float
    hung_kill_after: float = 0.0
    max_memory: int = 0

    @classmethod
    def of(cls, options: Options) -> WorkerOptions:
        """Return these options out of all options of a section."""
        return cls(options.workers, options.ready_timeout,
                   options.graceful_timeout, options.deregister_wait,
                   options.hung_kill_after, options.max_memory or 0)

    @property
    def stop_s(self) -> float:
        """Seconds after which a worker that still stops is hung."""
        return self.graceful_timeout + self.deregister_wait + MARGIN_S

    def encode(self) -> str:
        """Return the text that `decode` takes."""
        import json
        return json.dumps(self._asdict())

    @classmethod
    def decode(cls, text: str) -> WorkerOptions:
        """Return the options in a worker's hello.

        Raise ValueError for any other text.
        """
        import json
        try:
            options = cls(**json.loads(text))
            if (options.workers >= 1 and options.stop_s >= 0
                    and options.hung_kill_after >= 0
                    and options.max_memory >= 0):
                return options
        except (TypeError, RecursionError):
            pass
        raise ValueError(f'no options of a worker: {text[:80]!r}')


class LineDecoder:
    """Takes bytes in and gives whole lines out."""

    def __init__(self) -> None:
        self._rest = b''

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes, without their ends."""
        *lines, rest = (self._rest + data).split(b'\n')
        self._rest = rest[:LINE_LIMIT_BYTES]
        return [line.decode('utf-8', 'replace') for line in lines]


def send(sock: socket.socket, line: str) -> None:
    """Send a message, or drop it when the channel is full or closed.

    Neither blocks nor takes a lock: safe in signal handlers.
    """
    with contextlib.suppress(OSError):
        sock.send(line.encode() + b'\n', socket.MSG_DONTWAIT)


class Link:
    """A worker's end of its channel.

    `beat_interval_s` is the number of seconds between two beats that the
    parent wants, None for no beats.
    """

    def __init__(self, sock: socket.socket,
                 beat_interval_s: float | None = None) -> None:
        self.beat_interval_s = beat_interval_s
        self._sock = sock
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_inheritable(self) -> bool:
        """Whether children of this process get the channel, too."""
        return self._sock.get_inheritable()

    def hello(self, options: WorkerOptions) -> None:
        """Tell the parent the options that it is to go by."""
        send(self._sock, f'hello {options.encode()}')

    def serving(self) -> None:
        """Tell the parent that this worker serves, registered or not."""
        send(self._sock, 'serving')

    def session(self, key: SessionKey | None) -> None:
        """Tell the parent what ends the session if this worker dies.

        None: nothing has to be ended any more.
        """
        with contextlib.suppress(ValueError):
            send(self._sock, f'session {key.encode() if key else ""}')

    def registered(self, address: str) -> None:
        """Tell the parent that the node is in ZooKeeper."""
        send(self._sock, f'registered {address}')

    def stopping(self) -> None:
        """Tell the parent that this worker has begun to stop."""
        send(self._sock, 'stopping')

    def trouble(self, trouble: str) -> None:
        """Tell the parent: ``hung``, ``unhealthy``, or '' for well."""
        send(self._sock, f'trouble {trouble}')

    def about_to_hang(self, is_so: bool) -> None:
        """Tell the parent whether this worker will hang in a moment."""
        send(self._sock, f'hanging {is_so:d}')

    def used(self, requests: int) -> None:
        """Tell the parent that this worker has served its requests."""
        send(self._sock, f'used {requests}')

    def beat(self) -> None:
        """Tell the parent that the serving loop goes round."""
        send(self._sock, 'beat')

    def attend(self, orders: Mapping[str, Callable[[], None]],
               on_gone: Callable[[], None], limit_s: float) -> None:
        """Begin to listen to the parent, in a thread.

        `orders` has what to call for each message.  `on_gone` is called when
        the parent is gone, and returns once it has asked for the stop.  A
        worker that has not ended `limit_s` seconds later ends itself, as no
        other process is there to do that.
        """
        self._thread = threading.Thread(
            target=self._listen, args=(orders, on_gone, limit_s),
            name='zc.zkzopeserver.parent', daemon=True)
        self._thread.start()

    def _listen(self, orders: Mapping[str, Callable[[], None]],
                on_gone: Callable[[], None], limit_s: float) -> None:
        lines = LineDecoder()
        while data := self._receive():
            for line in lines.feed(data):
                if line in orders:
                    orders[line]()
        if self._closed.is_set():
            return
        on_gone()
        if not self._closed.wait(limit_s):
            logger.critical('not stopped in %g s: ending at once', limit_s)
            os._exit(1)

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(LINE_LIMIT_BYTES)
        except OSError:
            return b''

    def close(self) -> None:
        """Close the channel; the parent takes it for the worker's end."""
        self._closed.set()
        with contextlib.suppress(OSError):
            # Wakes the thread.
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self._sock.close()


@functools.cache
def link() -> Link | None:
    """Return the link of this process to its parent; None for no worker.

    Raise ConfigurationError when no parent has set the variable.
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
    """Whether a process with the option `workers` is a parent of workers.

    A parent serves nothing, so it needs no application.
    """
    return workers > 1 and link() is None


def set_title(text: str) -> bool:
    """Show ``PROGRAM: text`` as the name of this process in ``ps``.

    Return False where setproctitle, an optional library, is not installed.
    """
    try:
        import setproctitle
    except ImportError:
        return False
    program = os.path.basename(sys.argv[0]) or 'zc.zkzopeserver'
    setproctitle.setproctitle(f'{program}: {text}')
    return True


def is_title(title: str, role: str) -> bool:
    """Return whether a process name is one that `set_title` gives a role."""
    _, colon, text = title.partition(': ')
    return bool(colon) and text.split(' ')[0].rstrip('\0') == role
