"""The ``paste.server_runner``: run a WSGI application as a service."""
from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import signals
from zc.zkzopeserver.workers import protocol

if TYPE_CHECKING:
    from zc.zkzopeserver.service import Service

# For tests: set while a server of this process is registered.
event_for_testing = threading.Event()


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
    if protocol.is_parent(options.workers):
        # Imported by those who want it alone.
        from zc.zkzopeserver import workers
        if status := workers.run_parent(options):
            raise SystemExit(status)
        return
    service = make_service(options, application)
    try:
        with signals.stopping(service):
            service.run()
    finally:
        event_for_testing.clear()


def make_service(options: option_table.Options,
                 application: Any) -> Service:
    """The service; a worker's, when a parent started this process.

    Imported here: a parent needs neither server nor ZooKeeper.
    """
    from zc.zkzopeserver.service import Service
    link = protocol.link()
    if link is None:
        return Service(options, application, event_for_testing.set)
    from zc.zkzopeserver.workers.service import WorkerService
    return WorkerService(options, application, event_for_testing.set, link)


def where(global_conf: Mapping[str, str] | None) -> str:
    """Where the options come from, for messages."""
    path = (global_conf or {}).get('__file__')
    return f'server section of {os.path.basename(path)}' if path else ''


def stop_for_testing(thread: threading.Thread | None = None) -> None:
    """Stop what `run` runs in this process, and wait until it has stopped.

    With `thread`, only what was run in that thread is stopped, and the thread
    is joined.  Another `run` may follow.
    """
    for service, its_thread in list(signals.running.items()):
        if thread in (None, its_thread):
            service.request_stop()
            service.stopped.wait()
    if thread is not None:
        thread.join()
