"""The clients and servers of bench/clients.py, and the load between them."""
from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import requests
import zc.zk
import zc.zk.balancing.httpx
import zc.zk.balancing.requests
import zc.zk.balancing.urllib3
import zc.zk.embedded
from zc.zk.balancing import Balancer

PATH = '/bench/providers'
URL = 'http://bench/'

INI = '''\
[app:main]
use = call:{module}:make_application
seconds = {seconds}

[server:main]
use = egg:zc.zkzopeserver
zookeeper = {zookeeper}
path = /bench/providers
host = 127.0.0.1
threads = 4
deregister_wait = {wait}
session_timeout = 4000
'''

# Sends one request; returns the address of the server that has answered, and
# raises an exception if there was none.
Send = Callable[[str], str]


def make_application(global_conf: dict, seconds: str = '0') -> Callable:
    """Return an application that takes a while; a ``paste.app_factory``."""
    pause_s = float(seconds)

    def application(environ: dict, start_response: Callable) -> list[bytes]:
        environ['wsgi.input'].read()
        time.sleep(pause_s)
        start_response('200 OK', [('Content-Length', '2')])
        return [b'ok']
    return application


class Request(NamedTuple):
    """A request that is over; `server` is empty if it failed."""

    method: str
    start: float
    end: float
    server: str
    error: str = ''


class Service:
    """Servers that register at PATH."""

    def __init__(self, folder: Path, zk: zc.zk.ZooKeeper,
                 server: zc.zk.embedded.Server) -> None:
        self.zk = zk
        self.zookeeper = server
        self._folder = folder
        self._count = 0
        self.running: list[subprocess.Popen] = []

    def start(self, wait: float, seconds: float = 0.002,
              zookeeper: str = '') -> str:
        """Start a server; return its address when it is registered.

        `zookeeper` is where it finds ZooKeeper.
        """
        self._count += 1
        ini = self._folder / f'server{self._count}.ini'
        ini.write_text(INI.format(
            module=Path(__file__).stem, seconds=seconds,
            zookeeper=zookeeper or self.zookeeper.connection_string,
            wait=wait))
        before = set(self.zk.get_children(PATH))
        self.running.append(subprocess.Popen(
            [sys.executable, '-m', 'zc.zkzopeserver', str(ini)],
            stderr=subprocess.DEVNULL, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(
                    [str(Path(__file__).parent), *filter(None, sys.path)])}))
        while not (new := set(self.zk.get_children(PATH)) - before):
            time.sleep(0.02)
        return new.pop()

    def end(self, number: int) -> None:
        """End the oldest server by a signal."""
        process = self.running.pop(0)
        process.send_signal(number)
        process.wait()

    def close(self) -> None:
        """End all, and wait until their nodes are gone."""
        while self.running:
            self.end(signal.SIGTERM)
        while self.zk.get_children(PATH):
            time.sleep(0.02)


@contextlib.contextmanager
def serving(service: Service, wait: float, *seconds: float
            ) -> Iterator[list[str]]:
    """Run a server for each number of seconds that it takes to answer."""
    try:
        yield [service.start(wait, each) for each in seconds]
    finally:
        service.close()


def at_random(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client without a balancer."""
    children = zk.children(PATH)
    session = threading.local()

    def send(method: str) -> str:
        if not hasattr(session, 'made'):
            session.made = requests.Session()
        address = random.choice(list(children))
        session.made.request(method, f'http://{address}/', data=body(method),
                             timeout=10).raise_for_status()
        return address
    return send


def by_requests(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `requests`."""
    session = requests.Session()
    session.trust_env = False
    session.mount(URL, zc.zk.balancing.requests.Adapter(
        Balancer(zk, PATH), pool_maxsize=20))

    def send(method: str) -> str:
        response = session.request(method, URL, data=body(method), timeout=10)
        response.raise_for_status()
        return response.server.address
    return send


def by_httpx(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `httpx`."""
    client = httpx.Client(trust_env=False, mounts={
        'http://bench': zc.zk.balancing.httpx.Transport(Balancer(zk, PATH))})

    def send(method: str) -> str:
        response = client.request(method, URL, content=body(method),
                                  timeout=10)
        response.raise_for_status()
        return response.extensions['server'].address
    return send


def by_async_httpx(zk: zc.zk.ZooKeeper) -> Send:
    """Return an asynchronous client of `httpx`, in a loop of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    client = httpx.AsyncClient(trust_env=False, mounts={
        'http://bench': zc.zk.balancing.httpx.AsyncTransport(
            Balancer(zk, PATH))})

    def send(method: str) -> str:
        response = asyncio.run_coroutine_threadsafe(client.request(
            method, URL, content=body(method), timeout=10), loop).result()
        response.raise_for_status()
        return response.extensions['server'].address
    return send


def by_urllib3(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `urllib3`."""
    pool = zc.zk.balancing.urllib3.Pool(Balancer(zk, PATH), maxsize=20)

    def send(method: str) -> str:
        response = pool.request(method, URL, body=body(method), timeout=10)
        if response.status != 200:
            raise OSError(response.status)
        return response.server.address
    return send


def body(method: str) -> bytes | None:
    """Return what a request has to say."""
    return b'x' if method == 'POST' else None


BALANCED = {'requests': by_requests, 'httpx': by_httpx,
            'httpx, async': by_async_httpx, 'urllib3': by_urllib3}
CLIENTS = {'random child': at_random, **BALANCED}


class Load:
    """Threads that send GET and POST by turns, until `stop`.

    `count` is how many requests to send at most.
    """

    def __init__(self, send: Send, threads: int,
                 count: int = sys.maxsize) -> None:
        self.done: list[Request] = []
        self._send = send
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run)
                         for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            method = 'GET' if number % 2 else 'POST'
            start = time.monotonic()
            server, error = '', ''
            try:
                server = self._send(method)
            except Exception as caught:     # noqa: BLE001 (of any client)
                error = repr(caught)
                time.sleep(0.005)   # what fails takes no time
            self.done.append(Request(method, start, time.monotonic(), server,
                                     error))

    def is_running(self) -> bool:
        """Return whether there are requests left to send."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> list[Request]:
        """Wait until all are sent; return them."""
        for thread in self._threads:
            thread.join()
        return self.done

    def stop(self) -> list[Request]:
        """Send no more; return all."""
        self._stopping.set()
        return self.join()

    def failed(self) -> list[Request]:
        """Return the requests that failed."""
        return [each for each in self.done if not each.server]
