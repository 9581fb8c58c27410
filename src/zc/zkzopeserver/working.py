"""A worker's own side: a service that answers to its parent."""
from __future__ import annotations

import contextlib
import posixpath
import signal
import threading
from collections.abc import Iterator

from zc.zkzopeserver import logconfig
from zc.zkzopeserver import title
from zc.zkzopeserver.channel import Limits
from zc.zkzopeserver.channel import Link
from zc.zkzopeserver.service import Service

# They are the parent's; by default they would end or halt a worker that
# somebody sends them to.
IGNORED = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU


def run(service: Service, link: Link) -> None:
    """`service.run`, with the parent told and heeded."""
    limits = Limits.of(service.options)
    title.set_title('worker')
    link.hello(limits)
    announce = service.on_registered

    def on_registered() -> None:
        address = node_names(service)
        title.set_title(f'worker {address}')
        announce()
        link.registered(address)

    service.on_registered = on_registered
    link.attend(stop=service.request_stop, limit_s=limits.stop_s,
                reopen=lambda: reopen_logs(service))
    try:
        with ignored(IGNORED):
            run_telling(service, link)
    finally:
        link.close()


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


def node_names(service: Service) -> str:
    """What the service is registered as: ``HOST:PORT``, or several."""
    return ','.join(map(posixpath.basename, service.registration.paths))


@contextlib.contextmanager
def ignored(numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Ignore these signals; restores the handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, signal.SIG_IGN)
           for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler or signal.SIG_DFL)
