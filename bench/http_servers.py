"""Requests a second, CPU a request and latency, beside other servers.

``bin/py bench/http_servers.py`` runs each server in a process of its own and
asks it with wrk (Debian's package ``wrk``), in turn, round after round, so
that a machine that gets slower meanwhile gets slower for all.  What is not
installed is left out: ``pip install waitress gunicorn cheroot granian``.
(Not http.py: the scripts beside it would import that instead of Python's.)

``--short`` measures the cells that the README quotes; without it, all of
1, 4 and 16 threads, 1, 32 and 256 connections, kept alive and closed, hello,
100 kB and 1 MB upload.  Figures are medians over the rounds.  Trust ratios.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import itertools
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import psutil

BODIES = {'/hello': b'Hello, world.\n', '/large': b'x' * 100_000}
UPLOAD = ('wrk.method = "POST"; wrk.body = string.rep("x", 1048576);'
          ' wrk.path = "/upload"')


class Cell(NamedTuple):
    """What is measured at once."""

    path: str
    threads: int
    connections: int
    keep_alive: bool

    def __str__(self) -> str:
        kind = {'/hello': 'hello', '/large': '100 kB',
                '/upload': '1 MB upload'}[self.path]
        return (f'{kind}, {self.threads} threads, {self.connections}'
                f' connections{"" if self.keep_alive else ", close"}')


class Figures(NamedTuple):
    """What a server did in one run."""

    rate: float     # requests a second
    cpu: float      # microseconds of the server's CPU a request
    p99: float      # milliseconds
    errors: int


SHORT = (Cell('/hello', 1, 32, True), Cell('/hello', 4, 32, True),
         Cell('/large', 4, 32, True), Cell('/upload', 4, 32, True))
ALL = tuple(itertools.starmap(Cell, itertools.product(
    ('/hello', '/large', '/upload'), (1, 4, 16), (1, 32, 256),
    (True, False))))


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Reads what is sent, answers with as much as the path says."""
    body = BODIES.get(environ['PATH_INFO'], b'ok')
    if environ['REQUEST_METHOD'] == 'POST':
        while environ['wsgi.input'].read(65536):
            pass
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


# The servers; each serves on the port with so many threads, and never returns.

def serve_ours(port: int, threads: int) -> None:
    """zc.zkzopeserver's, without registration."""
    from zc.zkzopeserver.server import Server
    server = Server(application, host='127.0.0.1', port=port,
                    threads=threads)
    server.start()
    while True:
        time.sleep(3600)


def serve_zope(port: int, threads: int) -> None:
    """zope.server, bare."""
    import asyncore

    from zope.server.http.wsgihttpserver import WSGIHTTPServer
    from zope.server.taskthreads import ThreadedTaskDispatcher
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.setThreadCount(threads)
    WSGIHTTPServer(application, None, '127.0.0.1', port,
                   task_dispatcher=dispatcher)
    asyncore.loop(use_poll=True)


def serve_waitress(port: int, threads: int) -> None:
    """waitress."""
    import waitress
    waitress.serve(application, host='127.0.0.1', port=port, threads=threads,
                   _quiet=True)


def serve_cheroot(port: int, threads: int) -> None:
    """cheroot."""
    from cheroot.wsgi import Server
    Server(('127.0.0.1', port), application, numthreads=threads).start()


def serve_gunicorn(port: int, threads: int) -> None:
    """gunicorn with a worker of threads."""
    os.execv(sys.executable, [
        sys.executable, '-m', 'gunicorn', '-k', 'gthread', '--workers', '1',
        '--threads', str(threads), '--bind', f'127.0.0.1:{port}',
        '--chdir', str(Path(__file__).parent), '--log-level', 'error',
        'http_application:application'])


def serve_granian(port: int, threads: int) -> None:
    """granian, with a worker."""
    from granian import Granian
    Granian('http_application:application', address='127.0.0.1', port=port,
            interface='wsgi', workers=1, blocking_threads=threads,
            log_enabled=False,
            working_dir=Path(__file__).parent).serve()


SERVERS = {'zope.server': serve_zope, 'zc.zkzopeserver': serve_ours,
           'waitress': serve_waitress, 'gunicorn': serve_gunicorn,
           'cheroot': serve_cheroot, 'granian': serve_granian}


def installed() -> list[str]:
    """The servers that are here."""
    return [name for name in SERVERS
            if name in ('zope.server', 'zc.zkzopeserver')
            or importlib.util.find_spec(name)]


@contextlib.contextmanager
def running(name: str, threads: int) -> Iterator[tuple[int, psutil.Process]]:
    """(port, process) of a server that answers."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', __file__, '--serve', name,
         '--port', str(port), '--threads', str(threads)],
        env={**os.environ,
             'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(('127.0.0.1', port)).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f'{name} does not answer')
            time.sleep(0.05)
        yield port, psutil.Process(process.pid)
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def cpu_seconds(process: psutil.Process) -> float:
    """CPU that a process and its children have used."""
    found = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in found)


def measure(name: str, cell: Cell, seconds: int, script: str) -> Figures:
    """One run of wrk against one server."""
    with running(name, cell.threads) as (port, process):
        command = ['wrk', '-t1', f'-c{cell.connections}', f'-d{seconds}s',
                   '--latency']
        if cell.path == '/upload':
            command += ['-s', script]
        if not cell.keep_alive:
            command += ['-H', 'Connection: close']
        before = cpu_seconds(process)
        output = subprocess.run(
            [*command, f'http://127.0.0.1:{port}{cell.path}'], text=True,
            check=True, stdout=subprocess.PIPE).stdout
        used = cpu_seconds(process) - before
    done = int(re.search(r'(\d+) requests in', output)[1])
    rate = float(re.search(r'Requests/sec:\s+([\d.]+)', output)[1])
    number, unit = re.search(r'99%\s+([\d.]+)(us|ms|s|m)', output).groups()
    errors = sum(map(int, re.findall(
        r'(?:connect|read|write|timeout|responses:) (\d+)', output)))
    scale = {'us': 0.001, 'ms': 1, 's': 1000, 'm': 60_000}[unit]
    return Figures(rate, 1e6 * used / max(done, 1), float(number) * scale,
                   errors)


def table(cell: Cell, found: dict[str, list[Figures]]) -> None:
    """Print the medians of a cell as reStructuredText."""
    base = statistics.median(each.rate for each in found['zope.server'])
    rule = '=' * 16, '=' * 10, '=' * 7, '=' * 10, '=' * 9, '=' * 6
    print(f'\n{cell}:\n')
    print(*rule)
    print(f'{"":16} {"requests/s":>10} {"ratio":>7} {"CPU us":>10}'
          f' {"p99 ms":>9} {"errors":>6}')
    print(*rule)
    for name, runs in found.items():
        rate, cpu, p99 = (statistics.median(
            getattr(run, figure) for run in runs)
            for figure in ('rate', 'cpu', 'p99'))
        errors = sum(run.errors for run in runs)
        print(f'{name:16} {rate:10.0f} {rate / base:7.2f} {cpu:10.1f}'
              f' {p99:9.1f} {errors:6}')
    print(*rule, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--only', nargs='*', choices=SERVERS)
    parser.add_argument('--serve', choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument('--port', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--threads', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return SERVERS[arguments.serve](arguments.port, arguments.threads)
    if not shutil.which('wrk'):
        raise SystemExit('wrk is needed: apt-get install wrk')
    names = [name for name in installed()
             if not arguments.only or name in (*arguments.only,
                                               'zope.server')]
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {os.cpu_count()} cores, wrk for {arguments.seconds} s,'
          f' {arguments.rounds} rounds in turn')
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script:
        script.write(UPLOAD)
        script.flush()
        for cell in SHORT if arguments.short else ALL:
            found: dict[str, list[Figures]] = {name: [] for name in names}
            for _, name in itertools.product(range(arguments.rounds), names):
                found[name].append(measure(name, cell, arguments.seconds,
                                           script.name))
            table(cell, found)


if __name__ == '__main__':
    main()
