"""A worker's own side: a service that answers to its parent."""
from __future__ import annotations

import contextlib
import logging
import posixpath
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import title
from zc.zkzopeserver.channel import Limits
from zc.zkzopeserver.channel import Link
from zc.zkzopeserver.service import Service

logger = logging.getLogger('zc.zkzopeserver.workers')

STOPPING = signal.SIGTERM, signal.SIGINT

# They are the parent's.  Who sends them to all processes of a service (as
# systemd does) must not end or halt workers, as they would by default.
IGNORED = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2


def run(service: Service, link: Link) -> None:
    """`service.run`, with the parent told and obeyed."""
    limits = Limits.of(service.options)
    title.set_title('worker')
    link.hello(limits)
    tell_when_registered(service, link)
    stop = once(service.request_stop)

    def hurry() -> None:
        stop()
        # Asked a second time, a service waits for nothing.
        service.request_stop()

    link.attend({'reopen': lambda: reopen_logs(service), 'hurry': hurry},
                stop, limits.stop_s)
    try:
        with signals(stop):
            run_telling(service, link)
    finally:
        link.close()


def once(call: Callable[[], None]) -> Callable[[], None]:
    """`call`, the first time; safe in signal handlers and threads.

    A worker is told to stop by its parent, and at the same time perhaps by
    systemd, which tells all processes of a service; and then its parent may
    be gone.  That is one request.
    """
    left = [call]

    def call_once() -> None:
        with contextlib.suppress(IndexError):
            left.pop()()

    return call_once


def tell_when_registered(service: Service, link: Link) -> None:
    """Have the parent, and `ps`, told of the address."""
    announce = service.on_registered

    def on_registered() -> None:
        address = node_names(service)
        title.set_title(f'worker {address}')
        announce()
        link.registered(address)

    service.on_registered = on_registered


def run_telling(service: Service, link: Link) -> None:
    """`service.run`, and the parent hears of a stop before it begins.

    It does not when the service failed: that is a death, not a stop.
    """
    try:
        service.start()
        begin_beating(service, link)
        service.wait()
        link.stopping()
    finally:
        service.stop()


def begin_beating(service: Service, link: Link) -> None:
    """Let the serving loop be heard by the parent, when that asked for it.

    The beat is sent by whoever polls the connections; this thread only asks
    for it, and ends with the process.
    """
    call = getattr(service.server, 'call', None)
    if link.beat_interval_s is None or call is None:
        return

    def ask() -> None:
        while not service.stopped.wait(link.beat_interval_s):
            call(link.beat)

    threading.Thread(target=ask, name='zc.zkzopeserver.beat',
                     daemon=True).start()


def reopen_logs(service: Service) -> None:
    """Open the log files anew, that of requests, too."""
    logconfig.reopen()
    if service.server is not None:
        service.server.reopen_logs()
    logger.info('log files opened anew')


def node_names(service: Service) -> str:
    """What the service is registered as: ``HOST:PORT``, or several."""
    return ','.join(map(posixpath.basename, service.registration.paths))


@contextlib.contextmanager
def signals(stop: Callable[[], None]) -> Iterator[None]:
    """`stop` at its signals, the parent's ignored; restores the handlers."""
    if threading.current_thread() is not threading.main_thread():
        # Python takes signal handlers from the main thread only.
        yield
        return
    handlers = dict.fromkeys(STOPPING, lambda *_: stop())
    handlers |= dict.fromkeys(IGNORED, signal.SIG_IGN)
    old = {number: signal.signal(number, handler)
           for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None: set by something that is not Python.
            signal.signal(number, handler or signal.SIG_DFL)
