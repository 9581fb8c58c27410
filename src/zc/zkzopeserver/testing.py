"""For tests of your own: serve your application, registered, for a while.

::

    with zc.zkzopeserver.testing.serving(application) as server:
        urllib.request.urlopen(server.url + '/some/path')

The server is the real one, `zc.zkzopeserver.run` in a thread, and ZooKeeper
an embedded one, unless you name another.
"""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import zc.zk
import zc.zk.embedded

from zc.zkzopeserver import runner

__all__ = ['NotServing', 'Serving', 'serving']

START_TIMEOUT_S = 60


class NotServing(Exception):
    """The server did not come up; ``__cause__`` is the exception, or None."""


class Serving:
    """A server that is up and registered.

    `zookeeper` is the connection string, `path` the providers node, `address`
    the first ``HOST:PORT`` that is registered there, and `thread` the thread
    that runs the server.
    """

    def __init__(self, zookeeper: str, path: str, address: str,
                 thread: threading.Thread) -> None:
        self.zookeeper = zookeeper
        self.path = path
        self.address = address
        self.thread = thread

    @property
    def url(self) -> str:
        """The server's URL, ``http://HOST:PORT``."""
        return f'http://{self.address}'


@contextlib.contextmanager
def serving(application: Any, zookeeper: str | None = None,
            path: str = '/fooservice/providers',
            **options: str) -> Iterator[Serving]:
    """Serve `application`, registered below `path`, while the block runs.

    `zookeeper` is a connection string; without it, start an embedded server.
    Create the path when it is not there.  `options` are the strings of the
    server section; by default the server listens on the loopback interface
    only, and ``deregister_wait`` is 0.  Raise NotServing with the cause.
    """
    with contextlib.ExitStack() as stack:
        if zookeeper is None:
            zookeeper = stack.enter_context(
                zc.zk.embedded.Server()).connection_string
        zk = zc.zk.ZooKeeper(zookeeper)
        stack.callback(zk.close)
        if not zk.exists(path):
            zk.client.ensure_path(path)
        options = {'zookeeper': zookeeper, 'path': path, 'host': '127.0.0.1',
                   'deregister_wait': '0', **options}
        thread = stack.enter_context(running(application, options))
        yield Serving(zookeeper, path,
                      sorted(zk.get_children(zk.resolve(path)))[0], thread)


@contextlib.contextmanager
def running(application: Any,
            options: dict[str, str]) -> Iterator[threading.Thread]:
    """Run `run` in a thread, registered while the block runs."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            runner.run(application, {}, **options)
        except BaseException as error:  # noqa: BLE001 (a thread's edge)
            failures.append(error)
        finally:
            ended.set()
            # Wakes the thread that waits for the registration.
            runner.event_for_testing.set()

    thread = threading.Thread(target=run, name='zc.zkzopeserver.testing')
    runner.event_for_testing.clear()
    thread.start()
    try:
        arrived = runner.event_for_testing.wait(START_TIMEOUT_S)
        if ended.is_set() or not arrived:
            failure = failures[0] if failures else None
            raise NotServing(str(failure or f'not registered within'
                                 f' {START_TIMEOUT_S} s')) from failure
        yield thread
    finally:
        runner.stop_for_testing(thread)
        runner.event_for_testing.clear()
