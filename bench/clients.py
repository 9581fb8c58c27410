"""Measure Python clients of a service: what they lose, and what it costs.

Usage: python bench/clients.py [--requests 20000] [--threads 6]

Starts an embedded ZooKeeper and servers of this checkout as processes on
loopback ports. Clients send GET and POST by turns while servers are stopped
(SIGTERM), and killed (SIGKILL). The first client takes a random child of the
providers node for each request, as a program without a balancer does. A slow
server beside fast ones, and the price of a pick, come last.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import httpx
import requests
import zc.zk
import zc.zk.balancing.httpx
import zc.zk.balancing.requests
import zc.zk.balancing.urllib3
import zc.zk.embedded
from zc.zk.balancing import Balancer

PATH = '/bench/providers'

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

# Sends one request; raises an exception if it failed.
Send = Callable[[str], None]


def make_application(global_conf: dict, seconds: str = '0') -> Callable:
    """Return an application that takes a while; a ``paste.app_factory``."""
    pause_s = float(seconds)

    def application(environ: dict, start_response: Callable) -> list[bytes]:
        environ['wsgi.input'].read()
        time.sleep(pause_s)
        start_response('200 OK', [('Content-Length', '2')])
        return [b'ok']
    return application


class Service:
    """Servers that register at PATH."""

    def __init__(self, folder: Path, zk: zc.zk.ZooKeeper,
                 zookeeper: str) -> None:
        self._folder = folder
        self._zk = zk
        self._zookeeper = zookeeper
        self._count = 0
        self.running: list[subprocess.Popen] = []

    def start(self, wait: float, seconds: float = 0.002) -> None:
        """Start a server, and wait until it is registered."""
        self._count += 1
        ini = self._folder / f'server{self._count}.ini'
        ini.write_text(INI.format(
            module=Path(__file__).stem, seconds=seconds,
            zookeeper=self._zookeeper, wait=wait))
        before = set(self._zk.get_children(PATH))
        self.running.append(subprocess.Popen(
            [sys.executable, '-m', 'zc.zkzopeserver', str(ini)],
            stderr=subprocess.DEVNULL, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(
                    [str(Path(__file__).parent), *filter(None, sys.path)])}))
        while not set(self._zk.get_children(PATH)) - before:
            time.sleep(0.02)

    def end(self, number: int) -> None:
        """End the oldest server by a signal."""
        process = self.running.pop(0)
        process.send_signal(number)
        process.wait()

    def close(self) -> None:
        """End all, and wait until their nodes are gone."""
        while self.running:
            self.end(signal.SIGTERM)
        while self._zk.get_children(PATH):
            time.sleep(0.02)


def at_random(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client without a balancer."""
    children = zk.children(PATH)
    session = threading.local()

    def send(method: str) -> None:
        if not hasattr(session, 'made'):
            session.made = requests.Session()
        address = random.choice(list(children))
        session.made.request(method, f'http://{address}/', data=b'x'
                             if method == 'POST' else None, timeout=10)
    return send


def by_requests(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `requests`."""
    session = requests.Session()
    session.trust_env = False
    session.mount('http://bench', zc.zk.balancing.requests.Adapter(
        Balancer(zk, PATH), pool_maxsize=20))
    return lambda method: session.request(
        method, 'http://bench/', data=b'x' if method == 'POST' else None,
        timeout=10).raise_for_status()


def by_httpx(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `httpx`."""
    client = httpx.Client(trust_env=False, mounts={
        'http://bench': zc.zk.balancing.httpx.Transport(Balancer(zk, PATH))})
    return lambda method: client.request(
        method, 'http://bench/', content=b'x' if method == 'POST' else None,
        timeout=10).raise_for_status() and None


def by_urllib3(zk: zc.zk.ZooKeeper) -> Send:
    """Return a client of `urllib3`."""
    pool = zc.zk.balancing.urllib3.Pool(Balancer(zk, PATH), maxsize=20)
    return lambda method: pool.request(
        method, 'http://bench/', body=b'x' if method == 'POST' else None,
        timeout=10) and None


CLIENTS = {'random child': at_random, 'requests': by_requests,
           'httpx': by_httpx, 'urllib3': by_urllib3}


def load(send: Send, count: int, threads: int, disturb: Callable[[], None]
         ) -> tuple[int, list[str], list[float]]:
    """Send requests while `disturb` runs again and again.

    Return how many were sent, the methods of those that failed, and the
    seconds that each took.
    """
    failed: list[str] = []
    times: list[float] = []
    numbers = iter(range(count))
    lock = threading.Lock()
    done = threading.Event()

    def run() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            method = 'GET' if number % 2 else 'POST'
            start = time.monotonic()
            try:
                send(method)
            except Exception:   # noqa: BLE001 (of any client)
                failed.append(method)
            times.append(time.monotonic() - start)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()

    def disturbing() -> None:
        while not done.wait(0.5):
            disturb()

    disturber = threading.Thread(target=disturbing)
    disturber.start()
    for worker in workers:
        worker.join()
    done.set()
    disturber.join()
    return len(times), failed, times


@contextlib.contextmanager
def serving(service: Service, wait: float, *seconds: float
            ) -> Iterator[None]:
    """Run a server for each number of seconds that it takes to answer."""
    for each in seconds:
        service.start(wait, each)
    try:
        yield
    finally:
        service.close()


def measure_losses(service: Service, zk: zc.zk.ZooKeeper, count: int,
                   threads: int) -> None:
    """Print what each client loses."""
    for title, number, wait in (
            ('SIGTERM, deregister_wait = 1', signal.SIGTERM, 1.0),
            ('SIGTERM, deregister_wait = 0', signal.SIGTERM, 0.0),
            ('SIGKILL', signal.SIGKILL, 1.0)):
        print(title)
        for name, make in CLIENTS.items():
            with serving(service, wait, 0.002, 0.002, 0.002):
                def disturb() -> None:
                    service.start(wait)     # noqa: B023 (called at once)
                    service.end(number)     # noqa: B023
                sent, failed, _ = load(make(zk), count, threads, disturb)
            print(f'  {name:<14}{len(failed):>6} failed of {sent}'
                  f' ({failed.count("POST")} POST)')


def measure_slow(service: Service, zk: zc.zk.ZooKeeper, count: int,
                 threads: int) -> None:
    """Print the times with one slow server of three."""
    print('p99 of a request, one of three servers ten times slower')
    for title, slow in (('all fast', 0.005), ('one slow', 0.05)):
        with serving(service, 0.0, slow, 0.005, 0.005):
            for name in 'random child', 'requests':
                _, _, times = load(CLIENTS[name](zk), count // 4, threads,
                                   lambda: None)
                print(f'  {title}, {name:<14}'
                      f'{1000 * sorted(times)[len(times) * 99 // 100]:.1f} ms')


def measure_cost(service: Service, zk: zc.zk.ZooKeeper) -> None:
    """Print what a pick and an adapter cost."""
    for count in 3, 20, 200:
        made = [zk.register(PATH, f'127.0.0.1:{10_000 + number}')
                for number in range(count)]
        balancer = Balancer(zk, PATH)
        while len(balancer.servers) < count:
            time.sleep(0.01)
        rounds = []
        for _ in range(5):
            start = time.process_time()
            for _ in range(10_000):
                balancer.lease().done()
            rounds.append((time.process_time() - start) * 100)
        print(f'pick and done, {count} servers: {min(rounds):.1f} us')
        for registration in made:
            registration.withdraw()
    with serving(service, 0.0, 0.0):
        name, = zk.get_children(PATH)
        plain = requests.Session()
        plain.trust_env = False
        balanced = by_requests(zk)
        ratios = []
        for _ in range(7):
            spent = []
            for send in (functools.partial(plain.get, f'http://{name}/'),
                         functools.partial(balanced, 'GET')):
                start = time.process_time()
                for _ in range(300):
                    send()
                spent.append(time.process_time() - start)
            ratios.append(spent[1] / spent[0])
        print('CPU of a GET by requests, with the adapter beside without:'
              f' {statistics.median(ratios):.3f}')


def main() -> None:
    """Measure everything, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--requests', type=int, default=20_000)
    parser.add_argument('--threads', type=int, default=6)
    options = parser.parse_args()
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {platform.machine()}, {os.cpu_count()} cores, load'
          f' {os.getloadavg()[0]:.1f}')
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(zc.zk.embedded.Server())
        zk = stack.enter_context(zc.zk.ZooKeeper(server.connection_string))
        zk.import_tree('/bench\n  /providers\n')
        service = Service(folder, zk, server.connection_string)
        measure_cost(service, zk)
        measure_losses(service, zk, options.requests, options.threads)
        measure_slow(service, zk, options.requests, options.threads)


if __name__ == '__main__':
    main()
