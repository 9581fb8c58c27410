"""The order of start and stop of one registered server, and nothing else.

Start: logging -> listen -> monitor -> threads -> ready? -> register.
Stop: remove the node -> wait, still serving -> drain -> monitor -> session.
"""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from typing import Any

from zope.server import Server
from zope.server import ServerError as CannotServe
from zope.server import Settings
from zope.server.values import format_address

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import systemd
from zc.zkzopeserver.errors import ServerError
from zc.zkzopeserver.errors import StoppedAtOnce
from zc.zkzopeserver.monitor import MonitorServer
from zc.zkzopeserver.monitor import commands
from zc.zkzopeserver.options import BY_NAME
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import Registration
from zc.zkzopeserver.registration import offer_servers

logger = logging.getLogger('zc.zkzopeserver.service')

# Seconds after which a signal is found that came just before the main thread
# went to sleep, or while it was handling another, and so did not wake it.
LOOK_S = 0.25

# Seconds that a stop waits for the announcer to notice.
ANNOUNCER_S = 1.0


class Service:
    """A server, its monitor and its registration, started and stopped.

    `start` returns as soon as requests are served; `wait` returns at a
    request to stop, or raises what kept the server from being registered;
    `stop` undoes everything that `start` did, in the order that loses
    nothing, also when `start` failed half-way.  `run` does the three.

    `registered` is set once the node is in ZooKeeper, and `on_registered` is
    called then, in a thread of the service's.
    """

    def __init__(self, options: Options, application: Any,
                 on_registered: Callable[[], None] = lambda: None) -> None:
        self.options = options
        self.application = application
        self.on_registered = on_registered
        self.registered = threading.Event()
        self.stopped = threading.Event()
        self.server: Server | None = None
        self.monitor: MonitorServer | None = None
        self.registration: Registration | None = None
        self._announcer: threading.Thread | None = None
        self._stopping = threading.Event()
        self._is_forced = False
        self._forced: queue.SimpleQueue[None] = queue.SimpleQueue()
        # What the thread that runs the service waits for: a request to stop
        # (None), or the exception that ended the announcer.
        self._messages: queue.SimpleQueue[BaseException | None] = (
            queue.SimpleQueue())

    def run(self) -> None:
        """Start, wait for a request to stop, and stop.

        Raises StoppedAtOnce after a `force_exit`, when it has stopped.
        """
        try:
            self.start()
            self.wait()
        finally:
            self.stop()
        if self._is_forced:
            raise StoppedAtOnce('stopped at once, as asked a second time')

    # Start.

    def start(self) -> None:
        """Serve, and begin to register in a thread of its own."""
        logconfig.configure(self.options.loggers)
        self.registration = Registration(self.options)
        self.server = self._listen()
        self._start_monitor()
        self.server.start()
        logger.info('serving on %s', format_address(self.server.address))
        self._announcer = threading.Thread(
            target=self._announce, name='zc.zkzopeserver.announce',
            daemon=True)
        self._announcer.start()
        self._start_watchdog()

    def _listen(self) -> Server:
        options = self.options
        settings = {field.name: getattr(options, field.name)
                    for field in dataclasses.fields(Settings)
                    if field.name in BY_NAME}
        try:
            return Server(
                self.application, host=options.host, port=options.port,
                backlog=options.backlog,
                zservertracelog=options.zservertracelog,
                access_log=options.access_log,
                multiprocess=options.workers > 1, **settings)
        except CannotServe as error:
            raise ServerError(str(error)) from None

    def _start_monitor(self) -> None:
        if self.options.monitor_server is None:
            return
        self.monitor = MonitorServer(self.options.monitor_server,
                                     commands(self))
        offer_servers()

    def _start_watchdog(self) -> None:
        """Have the serving loop tell systemd that it goes round, if asked.

        A thread only asks it to: a loop that hangs does not answer.
        """
        interval_s = systemd.watchdog_interval_s()
        if interval_s is None:
            return

        def ask() -> None:
            while not self.stopped.wait(interval_s):
                self.server.call(partial(systemd.notify, 'WATCHDOG=1'))

        threading.Thread(target=ask, name='zc.zkzopeserver.workers.watchdog',
                         daemon=True).start()

    def _announce(self) -> None:
        """Register once ready; what goes wrong is for `wait` to raise."""
        try:
            if not self._is_ready():
                return
            if self.options.wait == 'serve':
                # To serve is enough; ZooKeeper may be away for long.
                systemd.notify('READY=1')
            if self._register():
                self.registered.set()
                self.on_registered()
                systemd.notify('READY=1')
        except BaseException as reason:  # noqa: BLE001 (a thread's edge)
            self._messages.put(reason)

    def _is_ready(self) -> bool:
        options = self.options
        if options.ready is None:
            return True
        # Imported by those who ask: an HTTP client is not a small thing.
        from zc.zkzopeserver import readiness
        return readiness.wait_until_ready(
            self.server.address, options.ready, options.ready_timeout,
            self._stopping)

    def _register(self) -> bool:
        monitor = self.monitor and self.monitor.address
        return self.registration.register(
            self.server.address, monitor, self._stopping)

    def wait(self) -> None:
        """Until a request to stop; raises what ended the announcer."""
        while True:
            with contextlib.suppress(queue.Empty):
                reason = self._messages.get(timeout=LOOK_S)
                break
        if reason is not None:
            raise reason

    # For operators, from any thread.

    def status(self) -> dict[str, Any]:
        """What the service is doing; times in seconds, counts of requests.
        """
        serving = self.server.statistics()
        found = {'state': self.registration.state,
                 'nodes': self.registration.paths,
                 'reregistered': self.registration.reregistered,
                 'last_error': self.registration.last_error,
                 'address': format_address(self.server.address),
                 'pid': os.getpid(),
                 'uptime': round(time.time() - serving.started, 1),
                 'threads': self.options.threads}
        return found | {
            name: getattr(serving, name) for name in (
                'requests', 'in_flight', 'queued', 'busy_threads',
                'connections')}

    def withdraw(self) -> None:
        """Take the server out of ZooKeeper; it goes on serving."""
        self.registration.withdraw()

    def restore(self) -> None:
        """Put the server back after a `withdraw`."""
        self.registration.restore()

    # Stop.

    def request_stop(self) -> None:
        """Ask for the stop, as often as you like; safe in signal handlers.
        """
        # No locks: a handler may interrupt this very thread in one of them,
        # even in another handler.  A SimpleQueue is made for that.
        self._messages.put(None)

    def force_exit(self) -> None:
        """Ask for a stop that waits for nothing; safe in signal handlers.
        """
        self._is_forced = True
        self._forced.put(None)
        self.request_stop()

    def reopen_logs(self) -> None:
        """Open the server's log of requests anew."""
        if self.server is not None:
            self.server.reopen_logs()

    def stop(self) -> None:
        """Take everything down; every step runs even if one fails."""
        self._stopping.set()
        systemd.notify('STOPPING=1')
        for step in (self._withdraw, self._end_announcing, self._linger,
                     self._drain, self._close_monitor,
                     self._close_session, self._close_server):
            attempt(step)
        self.registered.clear()
        self.stopped.set()

    def _withdraw(self) -> None:
        if self.registration is not None:
            with quick_switches():
                self.registration.withdraw()

    def _end_announcing(self) -> None:
        if self._announcer is None:
            return
        if not self.registered.is_set():
            # ZooKeeper may be away, and the announcer wait for it.
            self._close_session()
        # What is left is at the most a connection attempt, which nobody has
        # to wait for: it closes what it gets.
        self._announcer.join(ANNOUNCER_S)

    def _linger(self) -> None:
        """Go on serving those who have not yet seen that the node is gone."""
        if self.registration is not None and self.registration.may_be_known:
            with contextlib.suppress(queue.Empty):
                self._forced.get(timeout=self.options.deregister_wait)

    def _drain(self) -> None:
        if self.server is None:
            return
        cut = self.server.drain(self.options.graceful_timeout,
                                lambda: self._is_forced)
        if cut:
            logger.warning('requests cut off: %d', cut)

    def _close_monitor(self) -> None:
        if self.monitor is not None:
            self.monitor.close()

    def _close_session(self) -> None:
        if self.registration is not None:
            self.registration.close()

    def _close_server(self) -> None:
        if self.server is not None:
            self.server.close()
            logger.info('stopped serving on %s',
                        format_address(self.server.address))


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Let threads take turns often.

    Taking the node out goes through three threads; each would wait for the
    usual 5 ms behind the threads that run requests.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 20)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def attempt(step: Callable[[], None]) -> None:
    """Run a step of a stop; a failure is logged, and the next one runs."""
    try:
        step()
    except Exception:
        logger.exception('while stopping: %s', step.__name__.strip('_'))
