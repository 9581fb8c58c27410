"""`Balancer`: choose a server for each request, and know who failed."""
from __future__ import annotations

import contextlib
import inspect
import os
import threading
import time
import weakref
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zc.zk.balancing.candidates import Candidate
from zc.zk.balancing.candidates import Candidates
from zc.zk.client import ZooKeeper
from zc.zk.registration.marks import read_marks
from zc.zk.servers import Answer
from zc.zk.servers import Change
from zc.zk.servers import Hold
from zc.zk.servers import Server
from zc.zk.servers import Servers

#: How long to wait for a server when there is none, in seconds.
WAIT_S = 2.0

#: How long servers that vanished together are used on, and from when.
HOLD_S = 300.0
HOLD_AFTER_S = 3.0

#: The longest time, in seconds, between two servers that vanish together,
#: where none is left.
TOGETHER_S = 5.0

#: The most servers that one request is tried on.
MAX_TRIES = 3


class NoServers(ConnectionError):
    """There is no server at the path, and none came in time."""


class Lease:
    """A server for one request; `done` is to be called at its end.

    `server` is the `Server`. Of several calls of `done` the first counts.
    """

    __slots__ = ('server', '_candidate', '_balancer', '_began')

    def __init__(self, balancer: Balancer, candidate: Candidate,
                 now: float) -> None:
        self.server = candidate.server
        self._candidate: Candidate | None = candidate
        self._balancer = balancer
        self._began = now

    def done(self, error: BaseException | None = None,
             failed: bool | None = None) -> None:
        """End the request; `error` is what a connect or an exchange raised.

        An OSError has the server rest. Where a library has exceptions of its
        own, `failed` says whether the server has to.
        """
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            self._balancer._end(candidate, self._began, error, failed)


class Balancer:
    """Chooses among the servers of a providers node.

    `path` leads to the node, links are followed. `prefer` are properties: as
    long as servers with all of them can be used, no other is. `wait` is how
    long to wait, in seconds, when there is no server at all. Servers that
    vanish from ZooKeeper together are used on for `hold` seconds, from
    `hold_after` on, until one refuses a connection; see `zc.zk.servers.Hold`.
    `hold_after` has to exceed the servers' `deregister_wait`; a `hold` of 0
    is never.

    While ZooKeeper is away, the servers are those that were known last. In a
    process that was forked it is away for good. When all servers vanish at
    once, they are used on until they refuse.

    All methods may be called by any thread.
    """

    def __init__(self, zk: ZooKeeper, path: str, *,
                 prefer: Mapping[str, Any] | None = None,
                 wait: float = WAIT_S, hold: float = HOLD_S,
                 hold_after: float = HOLD_AFTER_S) -> None:
        self.path = path
        self.wait = wait
        self._client = zk.client
        self._candidates = Candidates(prefer)
        self._hold = Hold(hold, hold_after)
        self._wake_at: float | None = None
        self._held: dict[str, Server] = {}
        self._gone_at: dict[str, float] = {}
        self._present: dict[str, Server] = {}
        self._leaving: list[Callable[[Server], object]] = []
        self._forking: list[Callable[[], object]] = []
        self._make_lock()
        self._servers = Servers(zk, path)
        self._servers(self._update)
        _balancers.add(self)

    def __repr__(self) -> str:
        return f'<zc.zk.balancing.Balancer {self.path}>'

    @property
    def servers(self) -> Servers:
        """What ZooKeeper has, and how current that is."""
        return self._servers

    def _make_lock(self) -> None:
        # A response that the garbage collector finds ends its request, in a
        # thread that may have the lock.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def lease(self, exclude: Collection[str] = (),
              timeout: float | None = None) -> Lease:
        """Choose a server for a request; the caller ends the `Lease`.

        `exclude` are names of servers that were tried already: they are
        chosen only when there is no other. Raise `NoServers` when there is
        none within `timeout` seconds, by default `wait`.
        """
        found = self.try_lease(exclude)
        if found is not None:
            return found
        timeout = self.wait if timeout is None else min(timeout, self.wait)
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._candidates:
                rest_s = deadline - time.monotonic()
                if rest_s <= 0:
                    raise self.no_servers()
                self._changed.wait(rest_s)
        return self.lease(exclude, max(0.0, deadline - time.monotonic()))

    def try_lease(self, exclude: Collection[str] = ()) -> Lease | None:
        """Choose a server as `lease` does, without waiting; None for none."""
        now = time.monotonic()
        if self._wake_at is not None and now >= self._wake_at:
            self._look(now)
        with self._lock:
            candidate = self._candidates.pick(now, exclude)
            if candidate is None and exclude:
                candidate = self._candidates.pick(now)
            if candidate is None:
                return None
            candidate.load += 1
        return Lease(self, candidate, now)

    def no_servers(self) -> NoServers:
        """Return the exception for a path without servers."""
        since = self._servers.stale_since
        why = '' if since is None else (
            ', and ZooKeeper is away' if self._servers.is_known
            else ' that could be read')
        return NoServers(f'{self.path} has no servers{why}')

    @contextlib.contextmanager
    def server(self, exclude: Collection[str] = (),
               timeout: float | None = None) -> Iterator[Server]:
        """Choose a server for the block of a ``with``; see `lease`.

        When the block raises an OSError, such as a failed connect, the server
        rests for a while.
        """
        lease = self.lease(exclude, timeout)
        try:
            yield lease.server
        except BaseException as error:
            lease.done(error)
            raise
        lease.done()

    def on_leave(self, function: Callable[[Server], object]) -> None:
        """Call a function with each server that is used no more.

        When requests are under way, it is called again at the end of the last
        one. It is held weakly if it is a method, and called in a thread of
        the `ZooKeeper` object or in one that makes a request.
        """
        with self._lock:
            self._leaving.append(_weak(function))

    def on_fork(self, function: Callable[[], object]) -> None:
        """Call a function in each child process that os.fork() makes.

        It is held weakly if it is a method.
        """
        self._forking.append(_weak(function))

    @property
    def count(self) -> int:
        """The number of servers to choose from."""
        return len(self._candidates)

    # In the thread of the view:

    def _update(self, change: Change) -> None:
        now = time.monotonic()
        with self._changed:
            self._present = {each.name: each for each in change.servers}
            self._held.update(
                (each.name, each) for each in change.removed)
            self._gone_at.update(
                (each.name, now) for each in change.removed)
            self._hold.see(now, self._present.keys(),
                           self._servers.real_path)
            suspects = self._hold.suspects(now)
        withdrawn = suspects and suspects & read_marks(
            self._client, self._servers.real_path)
        with self._changed:
            self._hold.withdraw(withdrawn)
            gone = self._set(now)
            self._changed.notify_all()
        self._leave(gone)

    # In the thread of a request:

    def _look(self, now: float) -> None:
        """Put back who vanished together with others.

        Whether it still accepts, the next request tells.
        """
        is_current = self._servers.stale_since is None
        with self._changed:
            for name in self._hold.due(now):
                if name not in self._candidates:
                    self._hold.answer(now, name, Answer.ACCEPTED)
            if is_current:
                self._hold.expire(now)
            gone = self._set(now)
        self._leave(gone)

    def _set(self, now: float) -> list[Server]:
        """Take over who can be used; return who is gone. With the lock."""
        remembered = self._hold.remembered
        self._held = {name: server for name, server in self._held.items()
                      if name in remembered}
        self._gone_at = {name: when for name, when in self._gone_at.items()
                         if name in remembered}
        usable = [*self._present.values(),
                  *(self._held[name] for name in self._hold.held
                    if name in self._held)]
        # Where nobody is left, those that vanished last are tried at once:
        # what refuses is dropped.
        gone = self._candidates.set(usable or self._last())
        self._wake_at = self._hold.wake_at(now)
        return gone

    def _last(self) -> list[Server]:
        """Return those that vanished together with the last one."""
        times = {name: self._gone_at.get(name, 0.0) for name in self._held}
        begin = max(times.values(), default=0.0) - TOGETHER_S
        return [server for name, server in self._held.items()
                if times[name] >= begin]

    def _end(self, candidate: Candidate, began: float,
             error: BaseException | None, failed: bool | None) -> None:
        """Take in how a request has ended."""
        gone: list[Server] = []
        now = time.monotonic()
        with self._lock:
            candidate.load = max(0, candidate.load - 1)
            name = candidate.server.name
            if isinstance(error, OSError) if failed is None else failed:
                self._candidates.failed(candidate, now)
                if name not in self._present:
                    self._hold.answer(
                        now, name, Answer.REFUSED if is_refusal(error)
                        else Answer.SILENT)
                    gone = self._set(now)
            elif error is None:
                self._candidates.succeeded(candidate)
                self._candidates.took(candidate, now, now - began)
            elif now - began > candidate.usual_s:
                # Given up by the caller, as after a time-out.
                self._candidates.took(candidate, now, now - began)
            if (candidate.is_gone and not candidate.load
                    and name not in self._candidates):
                gone = [*gone, candidate.server]
        if gone:
            self._leave(gone)

    # Without:

    def _leave(self, gone: list[Server]) -> None:
        for function in list(self._leaving) if gone else ():
            for server in gone:
                function(server)

    def _forked(self) -> None:
        """Forget, in a child process, what the parent has under way."""
        self._make_lock()
        self._candidates.reset()
        for function in list(self._forking):
            function()


def is_refusal(error: BaseException | None) -> bool:
    """Return whether a refused connect is an exception, or its cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ConnectionRefusedError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


_balancers: weakref.WeakSet[Balancer] = weakref.WeakSet()


def _after_fork() -> None:
    for balancer in list(_balancers):
        balancer._forked()


os.register_at_fork(after_in_child=_after_fork)


def _weak(function: Callable[..., object]) -> Callable[..., object]:
    if not inspect.ismethod(function):
        return function
    method = weakref.WeakMethod(function)

    def call(*arguments: Server) -> None:
        found = method()
        if found is not None:
            found(*arguments)
    return call
