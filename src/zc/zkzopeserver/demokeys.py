"""The demo on a terminal: do things to its servers by single keys.

Each key does what operators do, or what happens to them, and tells what the
registry and a client saw of it.  The client sends requests all the time, to
the servers that it finds in ZooKeeper.
"""
from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import zc.zk
from zc.zk.balancing import Balancer
from zc.zk.balancing import NoServers
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.testing.proxy import Proxy
from zc.zk.view.feed import Feed
from zc.zk.view.server import ViewServer

# How many servers the client tries: more than the keys can have stopped.
TRIES = 8

# Pauses of the client between two requests, and of a look at the registry.
REQUEST_S = 0.05
LOOK_S = 0.02

# How long an action may take.
PATIENCE_S = 30.0

# How long the servers are cut off from ZooKeeper: longer than their sessions
# last.
CUT_S = 8.0

HELP = """\
    k  kill one of the two workers of web (SIGKILL)
    r  roll: replace the workers one by one (SIGHUP)
    c  cut web off from ZooKeeper for 8 s
    s  start one more web server, or stop it again
    q  stop everything, as Ctrl-C does"""


class Client:
    """Sends requests to the servers at a path, in a thread.

    `sent`, `moved` and `failed` count requests, those that another server
    answered than the first that was tried, and those without an answer.
    """

    def __init__(self, zk: zc.zk.ZooKeeper, path: str) -> None:
        self.sent = self.moved = self.failed = 0
        self._balancer = Balancer(zk, path, hold_after=1.0)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    @contextlib.contextmanager
    def counting(self) -> Iterator[Callable[[], str]]:
        """Yield a function that tells of the requests since now."""
        sent, moved, failed = self.sent, self.moved, self.failed

        def told() -> str:
            return (f'a client sent {self.sent - sent} requests meanwhile,'
                    f' {self.failed - failed} failed,'
                    f' {self.moved - moved} were tried a second time')
        yield told

    def _run(self) -> None:
        while not self._end.wait(REQUEST_S):
            self.sent += 1
            tried: list[str] = []
            while not self._ask(tried):
                if len(tried) == TRIES:
                    self.failed += 1
                    break
            else:
                self.moved += bool(tried)

    def _ask(self, tried: list[str]) -> bool:
        try:
            with self._balancer.server(tried) as server:
                tried.append(server.name)
                with urllib.request.urlopen(f'http://{server.address}/',
                                            timeout=5) as page:
                    page.read()
            tried.pop()
            return True
        except NoServers:
            tried[:] = [''] * TRIES
            return False
        except OSError:
            return False


class Keys:
    """What the keys do to the server `web`, whose nodes are at `path`.

    `parent` is the pid of its parent.  `proxy` is between its processes and
    ZooKeeper.  `start` starts one more web server, and returns a function
    that stops it.
    """

    def __init__(self, zk: zc.zk.ZooKeeper, path: str, parent: int,
                 proxy: Proxy, start: Callable[[], Callable[[], None]],
                 say: Callable[[str], None]) -> None:
        self._zk = zk
        self._path = path
        self._parent = parent
        self._proxy = proxy
        self._start = start
        self._say = say
        self._stop_more: Callable[[], None] | None = None
        self._client = Client(zk, path)

    def close(self) -> None:
        """End the client, and stop what `s` has started."""
        self._client.close()
        if self._stop_more is not None:
            self._stop_more()

    def press(self, key: str) -> bool:
        """Do what a key stands for; return whether there is such a key."""
        action = {'k': self.kill, 'r': self.roll, 'c': self.cut,
                  's': self.more}.get(key)
        if action is None:
            return False
        with self._client.counting() as told:
            action()
            self._say(told())
        # Between what two keys have done.
        print(flush=True)
        return True

    def kill(self) -> None:
        """Kill a worker."""
        before = self._nodes()
        name, pid = min(before.items())
        start = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self._say(f'worker {pid}, at {name}, is killed')
        if self._wait(lambda nodes: name not in nodes):
            self._say(f'its node was gone after {self._since(start)}')
        if self._wait(lambda nodes: len(nodes) >= len(before)):
            self._say('the parent has started another one, registered after'
                      f' {self._since(start)}')

    def roll(self) -> None:
        """Replace the workers."""
        before = set(self._nodes().values())
        start = time.monotonic()
        os.kill(self._parent, signal.SIGHUP)
        self._say('each worker is replaced, once its successor is registered')
        if self._wait(lambda nodes: len(nodes) >= len(before)
                      and before.isdisjoint(nodes.values())):
            self._say(f'all are replaced after {self._since(start)}')

    def cut(self) -> None:
        """Cut the servers off from ZooKeeper, and connect them again."""
        before = self._nodes()
        start = time.monotonic()
        self._proxy.stall()
        self._say(f'web is cut off from ZooKeeper for {CUT_S:g} s; it serves'
                  ' on')
        if self._wait(lambda nodes: not nodes.keys() & before.keys(), CUT_S):
            self._say('its session has ended, its nodes were gone after'
                      f' {self._since(start)}')
        self._wait(lambda nodes: False, start + CUT_S - time.monotonic())
        self._proxy.heal()
        start = time.monotonic()
        if self._wait(lambda nodes: before.keys() <= nodes.keys()):
            self._say('connected again, and registered after'
                      f' {self._since(start)}')

    def more(self) -> None:
        """Start one more web server, or stop it."""
        before = self._nodes()
        start = time.monotonic()
        if self._stop_more is None:
            self._stop_more = self._start()
            if self._wait(lambda nodes: len(nodes) > len(before)):
                new = ', '.join(sorted(self._nodes().keys() - before.keys()))
                self._say(f'one more is at {new}, after {self._since(start)}')
            return
        stop, self._stop_more = self._stop_more, None
        stop()
        if self._wait(lambda nodes: len(nodes) < len(before)):
            self._say(f'it has stopped, after {self._since(start)}')

    def _nodes(self) -> dict[str, int]:
        """Return the pids of the servers, by the names of their nodes."""
        found = {}
        for name in self._zk.get_children(self._path):
            with contextlib.suppress(zc.zk.NoNodeError):
                found[name] = self._zk.get_properties(
                    f'{self._path}/{name}')['pid']
        return found

    def _wait(self, condition: Callable[[dict[str, int]], object],
              timeout_s: float = PATIENCE_S) -> bool:
        """Wait for a state of the registry; return whether it came."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition(self._nodes()):
                return True
            time.sleep(LOOK_S)
        return False

    @staticmethod
    def _since(start: float) -> str:
        return f'{time.monotonic() - start:.2f} s'


@contextlib.contextmanager
def viewed(zk: zc.zk.ZooKeeper, path: str) -> Iterator[str]:
    """Serve a live view of the tree at a path; yield its URL."""
    feed = Feed(LiveTree(zk, path), redact_value)
    server = ViewServer(('127.0.0.1', 0), feed, f'The demo: {path}',
                        redact_value)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        feed.close()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def single_keys(stream: Any = None) -> Iterator[Callable[[float], str]]:
    """Yield a function that waits for a key, and returns it or ''.

    The terminal passes on each key at once, and shows none, until the end.
    """
    stream = sys.stdin if stream is None else stream
    fd = stream.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSANOW)

        def key(timeout_s: float) -> str:
            if not select.select([fd], [], [], timeout_s)[0]:
                return ''
            # Nothing: the terminal is gone.
            return os.read(fd, 1).decode('ascii', 'replace') or 'q'
        yield key
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
