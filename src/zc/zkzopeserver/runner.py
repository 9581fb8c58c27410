"""The ``paste.server_runner``: run a WSGI application as a service."""
from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.insistence import Insistence
from zc.zkzopeserver.workers import protocol as channel

if TYPE_CHECKING:
    from zc.zkzopeserver.service import Service

STOP_SIGNALS = signal.SIGTERM, signal.SIGINT

# For tests: set while a server of this process is registered.
event_for_testing = threading.Event()
_running: dict[Service, threading.Thread] = {}


def run(application: Any, global_conf: Mapping[str, str] | None = None,
        **local_conf: str) -> None:
    """Serve `application`, registered, until SIGTERM, SIGINT or a stop.

    `local_conf` are the options of the table in `zc.zkzopeserver.options`,
    as strings.  Raises OptionsError with all that is wrong in them, before a
    socket exists, and a StartError (see `zc.zkzopeserver.errors`) when the
    address, the monitor's address or ZooKeeper cannot be had.

    With more than one of `workers` the process becomes their parent, and
    `application` is not used; SystemExit when they end in failure.
    """
    options = option_table.parse(local_conf, where(global_conf))
    if channel.is_parent(options.workers):
        # Imported by those who want it alone.
        from zc.zkzopeserver import workers
        if status := workers.run_parent(options):
            raise SystemExit(status)
        return
    service = make_service(options, application)
    _running[service] = threading.current_thread()
    try:
        with on_signals(STOP_SIGNALS, stopping(service)):
            service.run()
    finally:
        del _running[service]
        event_for_testing.clear()


def make_service(options: option_table.Options,
                 application: Any) -> Service:
    """The service; a worker's, when a parent started this process.

    Imported here: a parent needs neither server nor ZooKeeper.
    """
    from zc.zkzopeserver.service import Service
    link = channel.link()
    if link is None:
        return Service(options, application, event_for_testing.set)
    from zc.zkzopeserver.workers.service import WorkerService
    return WorkerService(options, application, event_for_testing.set, link)


def where(global_conf: Mapping[str, str] | None) -> str:
    """Where the options come from, for messages."""
    path = (global_conf or {}).get('__file__')
    return f'server section of {os.path.basename(path)}' if path else ''


def stopping(service: Service) -> Callable[[], None]:
    """What to call at each signal that asks for a stop."""
    insistence = Insistence()

    def ask() -> None:
        service.hurry() if insistence.is_shown() else service.request_stop()

    return ask


@contextlib.contextmanager
def on_signals(numbers: tuple[signal.Signals, ...],
               call: Callable[[], None]) -> Iterator[None]:
    """`call` at these signals, in the main thread; restores the handlers."""
    if threading.current_thread() is not threading.main_thread():
        # Python takes signal handlers from the main thread only.
        yield
        return
    old = {number: signal.signal(number, lambda *_: call())
           for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def stop_for_testing(thread: threading.Thread | None = None) -> None:
    """Stop what `run` runs in this process, and wait until it has stopped.

    With `thread`, only what was run in that thread is stopped, and the thread
    is joined.  Another `run` may follow.
    """
    for service, its_thread in list(_running.items()):
        if thread in (None, its_thread):
            service.request_stop()
            service.stopped.wait()
    if thread is not None:
        thread.join()
