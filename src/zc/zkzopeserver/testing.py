"""For tests of your own: your application served, and registered, for a while.

::

    with zc.zkzopeserver.testing.serving(application) as server:
        urllib.request.urlopen(server.url + '/some/path')

It is the real thing: `zc.zkzopeserver.run` in a thread, and an embedded
ZooKeeper unless you name one.
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
    """The server did not come up; ``__cause__`` says why."""


class Serving:
    """A server that is up and registered.

    `zookeeper` is the connection string, `path` the providers node,
    `address` what is registered there first, and `thread` what runs it.
    """

    def __init__(self, zookeeper: str, path: str, address: str,
                 thread: threading.Thread) -> None:
        self.zookeeper = zookeeper
        self.path = path
        self.address = address
        self.thread = thread

    @property
    def url(self) -> str:
        """``http://HOST:PORT``"""
        return f'http://{self.address}'


@contextlib.contextmanager
def serving(application: Any, zookeeper: str | None = None,
            path: str = '/fooservice/providers',
            **options: str) -> Iterator[Serving]:
    """Serve `application`, registered below `path`, while the block runs.

    Without `zookeeper`, a connection string, an embedded server is started.
    The path is made when it is not there.  `options` are those of the server
    section, as strings; by default only the loopback interface is listened
    on, and a stop does not linger.  Raises NotServing with the cause.
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
    """`run` in a thread, registered while the block runs."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            runner.run(application, {}, **options)
        except BaseException as reason:  # noqa: BLE001 (a thread's edge)
            failures.append(reason)
        finally:
            ended.set()
            # Wakes who waits for the server.
            runner.event_for_testing.set()

    thread = threading.Thread(target=run, name='zc.zkzopeserver.testing')
    runner.event_for_testing.clear()
    thread.start()
    try:
        arrived = runner.event_for_testing.wait(START_TIMEOUT_S)
        if ended.is_set() or not arrived:
            reason = failures[0] if failures else None
            raise NotServing(str(reason or f'not registered within'
                                 f' {START_TIMEOUT_S} s')) from reason
        yield thread
    finally:
        runner.stop_for_testing(thread)
        runner.event_for_testing.clear()
