"""The loop: wait for a change, take it in, and bring it to the proxy."""
from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zk.follow.memory import MemoryFile
from zc.zk.follow.metrics import Metrics
from zc.zk.follow.notification import Watchdog
from zc.zk.follow.notification import notify
from zc.zk.follow.outputs import Output
from zc.zk.follow.resolver import Resolver
from zc.zk.follow.service import Service
from zc.zk.follow.upstream import Upstream
from zc.zk.loglimit import LimitedLogger

logger = LimitedLogger(logging.getLogger('zc.zk.follow'))

#: The most servers that a line of the log names.
MAX_NAMED = 10

#: The longest time between two rounds.
ROUND_S = 5.0


class Wakeup:
    """Wake the loop, from any thread and from a signal handler.

    A pipe, as threading.Event would hang when a handler sets it while its own
    thread waits for it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """Have `wait` return."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._writer, b'x')

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as `wake` is called."""
        if select.select([self._reader], [], [], max(seconds, 0))[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 2 ** 16)

    def close(self) -> None:
        """Free the pipe."""
        os.close(self._reader)
        os.close(self._writer)


class Signals:
    """What signals have asked for: a stop, or to believe ZooKeeper.

    Handlers only note that, and wake the loop.
    """

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self.stop = False
        self.believe = False

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle SIGTERM, SIGINT and SIGUSR1 within the block.

        Only the main thread can; elsewhere nothing is done.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle)
                  for number in (signal.SIGTERM, signal.SIGINT,
                                 signal.SIGUSR1)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: object) -> None:
        if number == signal.SIGUSR1:
            self.believe = True
        else:
            self.stop = True
        self._wakeup.wake()


class Loop:
    """Follow services, and bring what they have to an output."""

    def __init__(self, services: Sequence[Service], output: Output,
                 resolver: Resolver, wakeup: Wakeup, signals: Signals,
                 metrics: Metrics, memory: MemoryFile | None = None) -> None:
        self._services = services
        self._output = output
        self._resolver = resolver
        self._wakeup = wakeup
        self._signals = signals
        self._metrics = metrics
        self._memory = memory
        self._watchdog = Watchdog()
        self._applied: dict[str, Upstream] = {}
        self._is_ready = False

    def run(self) -> None:
        """Go round until a signal asks for a stop. Never raises.

        What fails for a reason that is not foreseen is logged, and tried
        again: no state of ZooKeeper, of a proxy or of a disk ends this.
        """
        while not self._signals.stop:
            try:
                self.round()
                wait = self._time_to_wait()
            except Exception:
                logger.exception('zookeeper_follow goes on after this')
                wait = 1.0
            self._wakeup.wait(wait)
        notify('STOPPING=1')

    def round(self) -> bool:
        """Take in what has changed; return whether all of it is in effect."""
        self._watchdog.alive()
        if self._signals.believe:
            self._signals.believe = False
            logger.warning('SIGUSR1: what ZooKeeper has is believed now')
            for service in self._services:
                service.believe()
        for service in self._services:
            service.update()
        self._resolver.want([host for service in self._services
                             for host in service.hosts()])
        upstreams = [service.upstream() for service in self._services]
        self._metrics.note(self._services, self._output)
        known = [upstream for upstream in upstreams if upstream is not None]
        if len(known) < len(upstreams):
            return False
        began = time.monotonic()
        done = self._output.apply(known)
        milliseconds = 1000 * (time.monotonic() - began)
        if self._memory is not None:
            self._memory.keep({service.path: service.remember()
                               for service in self._services})
        self._log(known, f'{self._output.done} in {milliseconds:.0f} ms'
                  if done else 'not in effect yet')
        if done:
            self._metrics.note_success(known)
            if not self._is_ready:
                self._is_ready = True
                notify('READY=1')
        return done

    def _time_to_wait(self) -> float:
        times = [service.wake_at() for service in self._services]
        wake_at = self._output.wake_at()
        if wake_at is not None:
            times.append(wake_at)
        wait = min(times) - time.monotonic()
        return max(0.0, min(wait, ROUND_S,
                            self._watchdog.interval or ROUND_S))

    def _log(self, upstreams: Sequence[Upstream], how: str) -> None:
        for upstream in upstreams:
            before = self._applied.get(upstream.name)
            if before is not None and before.targets == upstream.targets:
                continue
            self._applied[upstream.name] = upstream
            old = {target.address for target in before.targets
                   } if before else set()
            new = {target.address for target in upstream.targets}
            changes = [f'+{address}' for address in sorted(new - old)]
            changes += [f'-{address}' for address in sorted(old - new)]
            if len(changes) > MAX_NAMED:
                changes[MAX_NAMED:] = [f'{len(changes) - MAX_NAMED} more']
            logger.info(
                '%s: %d %s (%s), %s', upstream.name, len(new),
                'server' if len(new) == 1 else 'servers',
                ', '.join(changes) or 'other properties', how)
