"""The order of start and stop of one registered server, and nothing else.

Start: logging -> listen -> monitor, metrics -> threads -> ready? -> register.
Stop: remove the node -> wait, still serving -> drain -> monitor, metrics
-> session.  Functions of the user's hear of it: `zc.zkzopeserver.hooks`.
"""
from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from zope.server import Server
from zope.server import ServerError
from zope.server.settings import ROWS
from zope.server.switching import quick_switches
from zope.server.values import format_address

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import systemd
from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.errors import StoppedAtOnce
from zc.zkzopeserver.hooks import ServiceHooks
from zc.zkzopeserver.monitor import MonitorServer
from zc.zkzopeserver.monitor import commands
from zc.zkzopeserver.options import BY_NAME
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.presence import Presence
from zc.zkzopeserver.registration import ServiceRegistration
from zc.zkzopeserver.registration import offer_servers
from zc.zkzopeserver.sessionfile import SessionFile
from zc.zkzopeserver.sessionkeys import SessionKey

if TYPE_CHECKING:
    from zc.zkzopeserver.metricsserver import MetricsServer

logger = logging.getLogger('zc.zkzopeserver.service')

# Seconds after which a signal is found that came just before the main thread
# went to sleep, or while it was handling another, and so did not wake it.
LOOK_S = 0.25

# How soon a stop that waits notices that it is not to wait, in seconds.
FORCED_LOOK_S = 0.02

# Seconds that a stop waits for the announcer to notice.
ANNOUNCER_S = 1.0


class Parts:
    """What the start of a service has made.

    `monitor` and `metrics` are None until they listen, and without their
    options.
    """

    def __init__(self, server: Server,
                 registration: ServiceRegistration,
                 presence: Presence, hooks: ServiceHooks) -> None:
        self.server = server
        self.registration = registration
        self.presence = presence
        self.hooks = hooks
        self.monitor: MonitorServer | None = None
        self.metrics: MetricsServer | None = None


class Service:
    """A server, its monitor and its registration, started and stopped.

    `start` returns as soon as requests are served; `wait` returns at a
    request to stop, or raises what kept the server from being registered;
    `stop` undoes everything that `start` did, in the order that loses
    nothing, also when `start` failed half-way.  `run` does the three.

    `registered` is set once the node is in ZooKeeper, and `on_registered` is
    called then, in a thread of the service.  `stopped` is set after the stop.
    `session_file` keeps the key of the ZooKeeper session.
    """

    def __init__(self, options: Options, application: Any,
                 on_registered: Callable[[], None] = lambda: None,
                 session_file: SessionFile | None = None) -> None:
        self.options = options
        self.application = application
        self.registered = threading.Event()
        self.stopped = threading.Event()
        self._on_registered = on_registered
        self._session_file = session_file
        # None until the server listens.
        self._made: Parts | None = None
        self._announcer = threading.Thread(
            target=self._announce, name='zc.zkzopeserver.announce',
            daemon=True)
        self._stopping = threading.Event()
        self._is_forced = False
        # Whether an operator has taken the server out of ZooKeeper.
        self._is_deregistered = False
        # What the thread that runs the service waits for: a request to stop
        # (None), or the exception that ended the announcer.
        self._messages: queue.SimpleQueue[BaseException | None] = (
            queue.SimpleQueue())

    def run(self) -> None:
        """Start, wait for a request to stop, and stop.

        Raise StoppedAtOnce after a `force_exit`, when it has stopped.
        """
        try:
            self.start()
            self.wait()
        finally:
            self.stop()
        if self._is_forced:
            raise StoppedAtOnce('stopped at once, as asked a second time')

    @property
    def parts(self) -> Parts:
        """The parts of a service that was started; RuntimeError before."""
        if self._made is None:
            raise RuntimeError('the service is not started')
        return self._made

    # Start.

    def start(self) -> None:
        """Serve, and begin to register in a thread of its own."""
        logconfig.configure(self.options.loggers)
        hooks = ServiceHooks(self.options)
        registration = ServiceRegistration(self.options, self._keep_session)
        server = self._listen()
        parts = self._made = Parts(server, registration, Presence(
            self.options, server, registration, self._tell_trouble,
            self._tell_about_to_hang), hooks)
        if self.options.monitor_server is not None:
            parts.monitor = MonitorServer(
                self.options.monitor_server,
                commands(self, self.options.monitor_control))
            offer_servers()
        if self.options.metrics is not None:
            # Imported here: most servers do without.
            from zc.zkzopeserver.metrics import render
            from zc.zkzopeserver.metricsserver import MetricsServer
            parts.metrics = MetricsServer(self.options.metrics, partial(
                render, parts.server, registration, self.options))
        hooks.starting(self)
        parts.server.start()
        logger.info('serving on %s', format_address(parts.server.address))
        self._announcer.start()
        interval_s = systemd.watchdog_interval_s()
        if interval_s is not None:
            self._call_in_loop(self._feed_watchdog, interval_s,
                               'zc.zkzopeserver.watchdog')

    def _listen(self) -> Server:
        options = self.options
        settings = {name: getattr(options, name)
                    for name in ROWS if name in BY_NAME}
        try:
            return Server(
                self.application, host=options.host, port=options.port,
                backlog=options.backlog,
                zservertracelog=options.zservertracelog,
                access_log=options.access_log,
                measure=options.metrics is not None,
                multiprocess=options.workers > 1, **settings)
        except ServerError as error:
            raise ListenError(str(error)) from None

    def _call_in_loop(self, function: Callable[[], object], interval_s: float,
                      name: str) -> None:
        """Have the serving loop call `function` at an interval.

        A thread only asks the loop to: a loop that hangs calls nothing.
        Nothing is called either while no thread keeps the registration.
        """
        def ask() -> None:
            while not self.stopped.wait(interval_s):
                if self.parts.registration.is_kept:
                    self.parts.server.call(function)

        threading.Thread(target=ask, name=name, daemon=True).start()

    def _feed_watchdog(self) -> None:
        limit_s = self.options.hung_kill_after
        presence = self.parts.presence
        if not limit_s or presence.hung_s(time.monotonic()) < limit_s:
            systemd.notify('WATCHDOG=1')

    # The announcer: the thread that registers.

    def _announce(self) -> None:
        """Register once ready; what goes wrong is for `wait` to raise."""
        try:
            if not self._is_ready():
                return
            if self.options.wait == 'serve':
                # To serve is enough; ZooKeeper may be away for long.
                self._tell_serving()
            if self._register():
                self.registered.set()
                self._tell_registered()
                if self.parts.presence.is_needed:
                    self.parts.presence.start(self._stopping)
                self.parts.hooks.registered(self)
        except BaseException as error:  # noqa: BLE001 (a thread's edge)
            self._messages.put(error)

    def _is_ready(self) -> bool:
        options = self.options
        if options.ready is None:
            return True
        # Imported here: most servers do not need an HTTP client.
        from zc.zkzopeserver import readiness
        return readiness.wait_until_ready(
            self.parts.server.address, options.ready, options.ready_timeout,
            self._stopping, readiness.question(options))

    def _register(self) -> bool:
        parts = self.parts
        monitor = None if parts.monitor is None else parts.monitor.address
        metrics = None if parts.metrics is None else parts.metrics.address
        return parts.registration.register(parts.server.address, monitor,
                                           self._stopping, metrics)

    def _keep_session(self, key: SessionKey | None) -> None:
        """Keep the key of a new session; None: it needs no ending.

        Called in kazoo's thread, too, and so must not block.
        """
        if self._session_file is not None:
            if key is None:
                self._session_file.drop()
            else:
                self._session_file.keep(key)

    def _tell_serving(self) -> None:
        systemd.notify('READY=1')

    def _tell_trouble(self, trouble: str) -> None:
        """Hear of a change of `presence.trouble`; for subclasses."""

    def _tell_about_to_hang(self, is_so: bool) -> None:
        """Hear whether the server is about to hang; for subclasses."""

    def _tell_registered(self) -> None:
        if self._session_file is not None:
            self._session_file.note_registered()
        self._on_registered()
        systemd.notify('READY=1')

    def wait(self) -> None:
        """Wait for a request to stop; raise what ended the announcer."""
        while True:
            with contextlib.suppress(queue.Empty):
                error = self._messages.get(timeout=LOOK_S)
                break
        if error is not None:
            raise error

    # For operators, from any thread.

    def status(self) -> dict[str, Any]:
        """Return what the service is doing, by name; times in seconds."""
        server, registration = self.parts.server, self.parts.registration
        serving = server.statistics()
        presence = self.parts.presence
        state = presence.trouble if presence.is_out else registration.state
        return {'state': state,
                'trouble': presence.detail or None,
                'deregistered': self._is_deregistered,
                'nodes': registration.paths,
                'reregistered': registration.reregistered,
                'last_error': registration.last_error,
                'address': format_address(server.address),
                'pid': os.getpid(),
                'uptime': round(time.time() - serving.started, 1),
                'threads': self.options.threads} | {
            name: getattr(serving, name) for name in (
                'requests', 'in_flight', 'queued', 'busy_threads',
                'connections', 'form')}

    def withdraw(self) -> None:
        """Take the server out of ZooKeeper; it goes on serving."""
        self._is_deregistered = True
        self.parts.registration.withdraw(mark=True)

    def restore(self) -> None:
        """Put the server back after a `withdraw`."""
        self._is_deregistered = False
        self.parts.registration.restore()

    def reopen_logs(self) -> list[str]:
        """Open the server's log of requests anew; return what failed."""
        problem = self._made and self._made.server.reopen_logs()
        return [problem] if problem else []

    # Stop.

    def request_stop(self) -> None:
        """Ask for the stop, once or more; safe in signal handlers."""
        # No locks: a handler may interrupt this very thread while it holds
        # one, even in another handler.  A SimpleQueue is reentrant.
        self._messages.put(None)

    def force_exit(self) -> None:
        """Ask for a stop that does not wait; safe in signal handlers."""
        self._is_forced = True
        self.request_stop()

    def stop(self) -> None:
        """Take everything down; every step runs even if one fails."""
        self._stopping.set()
        systemd.notify('STOPPING=1')
        if self._made is not None:
            for step in (self._withdraw, self._tell_stopping,
                         self._end_announcing, self._linger, self._drain,
                         self._close_monitor, self._close_metrics,
                         self._close_session, self._close_server):
                attempt(step)
        if self._session_file is not None:
            attempt(self._session_file.close)
        self.registered.clear()
        self.stopped.set()

    def _withdraw(self) -> None:
        with quick_switches():
            self.parts.registration.withdraw()

    def _tell_stopping(self) -> None:
        if self._announcer.ident is not None and not self.stopped.is_set():
            self.parts.hooks.stopping(self)

    def _end_announcing(self) -> None:
        if self._announcer.ident is None:
            return  # not started: the monitor could not listen
        if not self.registered.is_set():
            # ZooKeeper may be away, and the announcer wait for it.
            self._close_session()
        # At most a connection attempt is left, and closes what it gets: no
        # thread has to wait for that.
        self._announcer.join(ANNOUNCER_S)

    def _linger(self) -> None:
        """Go on serving clients that do not know that the node is gone."""
        if self.parts.registration.may_be_known:
            # A SimpleQueue could tell of a `force_exit`, but in Python 3.10
            # its `get` waits for ever if its timeout ends too early.
            ends = time.monotonic() + self.options.deregister_wait
            while not self._is_forced and (
                    left_s := ends - time.monotonic()) > 0:
                time.sleep(min(left_s, FORCED_LOOK_S))

    def _drain(self) -> None:
        cut = self.parts.server.drain(self.options.graceful_timeout,
                                      lambda: self._is_forced)
        if cut:
            logger.warning('requests cut off: %d', cut)

    def _close_monitor(self) -> None:
        if self.parts.monitor is not None:
            self.parts.monitor.close()

    def _close_metrics(self) -> None:
        if self.parts.metrics is not None:
            self.parts.metrics.close()

    def _close_session(self) -> None:
        self.parts.registration.close()

    def _close_server(self) -> None:
        server = self.parts.server
        server.close()
        logger.info('stopped serving on %s', format_address(server.address))


def attempt(step: Callable[[], None]) -> None:
    """Run a step of a stop; a failure is logged, and the next one runs."""
    try:
        step()
    except Exception:
        logger.exception('while stopping: %s', step.__name__.strip('_'))
