"""Measure the live view: how soon a change is seen, and what looking costs.

Usage: python bench/view.py [--nodes 500 20000] [--changes 20]

Starts an embedded ZooKeeper and ``zookeeper_view`` as processes on loopback
ports, and removes all at the end. A change is timed from before the request
that makes it until the stream of events has it; the first paint, where there
is a chromium, from the navigation until the tree is drawn. CPU is that of the
view's process alone.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import http.client
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from zc.zk.client import ZooKeeper

COMMAND = ('import sys; from zc.zk.scripts.{0} import main;'
           ' sys.exit(main())')
IDLE_S = 10.0
BUSY_S = 10.0
CHANGES_A_SECOND = 5


@contextlib.contextmanager
def program(name: str, *arguments: str
            ) -> Iterator[tuple[str, psutil.Process]]:
    """Run a command of zc.zk; yield the line with its address, its process."""
    with subprocess.Popen(
            [sys.executable, '-c', COMMAND.format(name), *arguments],
            stdout=subprocess.PIPE, text=True, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
            ) as process:
        try:
            line = process.stdout.readline()
            while line and '127.0.0.1:' not in line:
                line = process.stdout.readline()
            yield line, psutil.Process(process.pid)
        finally:
            process.kill()


class Stream:
    """A viewer: reads events in a thread, and notes when they came."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection('127.0.0.1', port)
        self._connection.request('GET', '/events')
        self._response = self._connection.getresponse()
        self.first_bytes = 0
        self.seen: dict[str, float] = {}
        self.ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._response:
            now = time.monotonic()
            if line.startswith(b'data: {"base"'):
                self.first_bytes = len(line)
                self.ready.set()
            elif line.startswith(b'data: [['):
                for event in json.loads(line[6:]):
                    self.seen[event[1]] = now


def tree_text(nodes: int) -> str:
    """Return a tree of services with as many nodes."""
    lines = []
    for number in range(nodes // 20):
        lines += [f'/service{number:05}', '  threads = 4', '  /providers']
        lines += [f'    /10.0.{number % 250}.{host}:8080\n      pid = {number}'
                  for host in range(18)]
    return '\n'.join(lines) + '\n'


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU that a process has used, in seconds."""
    times = process.cpu_times()
    return times.user + times.system


def measure(nodes: int, changes: int) -> None:
    """Print the figures for one size."""
    with contextlib.ExitStack() as stack:
        line, _ = stack.enter_context(program(
            'zookeeper_embedded', '--port', '0'))
        where = line.strip()
        zk = stack.enter_context(ZooKeeper(where))
        zk.import_tree(tree_text(nodes))
        line, view = stack.enter_context(program(
            'zookeeper_view', where, '--listen', '127.0.0.1:0'))
        port = int(line.rstrip('/\n').rpartition(':')[2])
        stream = Stream(port)
        assert stream.ready.wait(60)
        print(f'{nodes} nodes')
        print('  first message            '
              f' {stream.first_bytes / 1000:.0f} kB')
        times = []
        for number in range(changes):
            path = f'/service00000/change{number}'
            start = time.monotonic()
            zk.client.create(path)
            while path not in stream.seen:
                time.sleep(0.0005)
            times.append(1000 * (stream.seen[path] - start))
        print('  change until it is seen   median'
              f' {statistics.median(times):.0f} ms, most {max(times):.0f} ms')
        used = cpu_s(view)
        time.sleep(IDLE_S)
        print('  idle, one viewer          '
              f'{100 * (cpu_s(view) - used) / IDLE_S:.1f} % of a core')
        one = busy(zk, view, '/service00000/busy-a')
        others = [Stream(port) for _ in range(9)]
        for each in others:
            assert each.ready.wait(60)
        ten = busy(zk, view, '/service00000/busy-b')
        print(f'  {CHANGES_A_SECOND} changes a second         one viewer'
              f' {one:.1f} % of a core, ten {ten:.1f} %:'
              f' {ten / one:.2f} times')
        with socket.socket() as stopped:
            before = view.memory_info().rss
            stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stopped.connect(('127.0.0.1', port))
            stopped.sendall(b'GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d'
                            b'\r\n\r\n' % port)
            busy(zk, view, '/service00000/busy-c', 'x' * 50_000)
            print('  a viewer that stops       '
                  f'{(view.memory_info().rss - before) / 2 ** 20:.1f} MiB')
        paint(port)


def busy(zk: ZooKeeper, view: psutil.Process, path: str,
         value: str = '') -> float:
    """Make changes for a while; return the view's CPU, in % of a core."""
    zk.client.create(path)
    used, start = cpu_s(view), time.monotonic()
    number = 0
    while time.monotonic() < start + BUSY_S:
        number += 1
        zk.client.set(path, json.dumps({'n': number, 'x': value}).encode())
        time.sleep(1 / CHANGES_A_SECOND)
    return 100 * (cpu_s(view) - used) / (time.monotonic() - start)


def paint(port: int) -> None:
    """Print the time until a browser has drawn the tree."""
    tests = Path(__file__).resolve().parents[1] / 'zc.zk' / 'tests'
    sys.path.insert(0, str(tests))
    from zc_zk_support import browser as browsers
    if not any(map(shutil.which, browsers.NAMES)):
        print('  first paint               not measured: there is no chromium')
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = browsers.Browser(Path(folder))
        try:
            times = []
            for _ in range(5):
                browser.open('about:blank')
                browser.open(f'http://127.0.0.1:{port}/')
                browser.wait("document.querySelector('#tree li')")
                times.append(browser.js(
                    'new Promise(done => requestAnimationFrame(() =>'
                    ' done(performance.now())))'))
            print('  first paint               median'
                  f' {statistics.median(times):.0f} ms')
        finally:
            browser.close()


def main() -> None:
    """Measure each size, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--nodes', type=int, nargs='+', default=[500, 20000])
    parser.add_argument('--changes', type=int, default=20)
    options = parser.parse_args()
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {platform.machine()}, {os.cpu_count()} cores, load'
          f' {os.getloadavg()[0]:.1f}')
    for nodes in options.nodes:
        measure(nodes, options.changes)


if __name__ == '__main__':
    main()
