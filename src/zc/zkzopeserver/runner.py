"""The ``paste.server_runner``: run a WSGI application as a service."""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from zope.server.options import section_name
from zope.server.switching import switch_interval

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import signals
from zc.zkzopeserver.workers import protocol

if TYPE_CHECKING:
    from zc.zkzopeserver.service import Service
    from zc.zkzopeserver.sessionfile import SessionFile

#: For tests: set while a server of this process is registered.
event_for_testing = threading.Event()


def run(application: Any, global_conf: Mapping[str, str] | None = None, /,
        **local_conf: str) -> None:
    """Serve `application`, registered, until SIGTERM, SIGINT or a stop.

    `local_conf` are the options of the table in `zc.zkzopeserver.options`,
    as strings.  Raise OptionsError with all problems in them, before a socket
    exists.  Raise StartError (see `zc.zkzopeserver.errors`) when the server
    or the monitor cannot listen, or when ZooKeeper refuses the node.

    With more than one of `workers` this process becomes their parent, and
    `application` is not used.  Raise SystemExit with the parent's exit status
    unless that is 0.  Where a launcher has loaded the application of an ini,
    the process replaces its program, and `run` does not return: see
    `zc.zkzopeserver.workers.launcher`.

    `application` may have a method `load_application`, as ``bin/NAME`` passes
    it: then the application is what this returns.  It is called once the
    options are right, and not for a parent of workers.  Such an application
    also has the `session_file` of the server; for any other it is that of
    the options.
    """
    where = section_name(global_conf)
    options = option_table.parse(local_conf, where)
    if protocol.is_parent(options.workers):
        # Imported here: a server of one process does not need them.
        from zc.zkzopeserver import workers
        from zc.zkzopeserver.workers import launcher
        if launcher.is_reloading():
            launcher.serve_alone(options)
        elif global_conf and '__file__' in global_conf and not is_deferred(
                application):
            launcher.become_parent(local_conf, global_conf, where)
        else:
            with session_file(application, options) as file:
                status = workers.run_parent(options, session_file=file)
            if status:
                raise SystemExit(status)
            return
    with session_file(application, options) as file:
        if file is not None and protocol.link() is None:
            # Before the application is loaded, which may take long.  Of dead
            # workers their parent takes care.
            file.succeed(options.session_timeout_s)
        service = make_service(options, load(application), file)
        try:
            with (switch_interval(options.switch_interval),
                  signals.stopping(service)):
                service.run()
        finally:
            event_for_testing.clear()


def load(application: Any) -> Any:
    """Return the application; load one whose loading was deferred."""
    return (application.load_application() if is_deferred(application)
            else application)


def is_deferred(application: Any) -> bool:
    """Return whether the application is still to be loaded."""
    return hasattr(type(application), 'load_application')


@contextlib.contextmanager
def session_file(application: Any, options: option_table.Options
                 ) -> Iterator[SessionFile | None]:
    """Yield the session file of the server, None for none.

    One that came with a deferred application is for its caller to close.
    """
    if is_deferred(application):
        yield getattr(application, 'session_file', None)
    elif options.session_file is None:
        yield None
    else:
        # Imported here: most servers under a launcher have none.
        from zc.zkzopeserver import sessionfile
        with sessionfile.serving(options.session_file) as file:
            yield file


def make_service(options: option_table.Options, application: Any,
                 session_file: SessionFile | None = None) -> Service:
    """Return the service; a worker's, when a parent started this process."""
    # Imported here: a parent needs neither server nor ZooKeeper.
    from zc.zkzopeserver.service import Service
    link = protocol.link()
    if link is None:
        return Service(options, application, event_for_testing.set,
                       session_file)
    from zc.zkzopeserver.workers.service import WorkerService
    return WorkerService(options, application, event_for_testing.set, link,
                         session_file)


def stop_for_testing(thread: threading.Thread | None = None) -> None:
    """Stop the servers that `run` runs in this process, and wait for that.

    With `thread`, stop only the server that runs in that thread, and join the
    thread.  Another `run` may follow.
    """
    for service, running_in in list(signals.running.items()):
        if thread in (None, running_in):
            service.request_stop()
            service.stopped.wait()
    if thread is not None:
        thread.join()
