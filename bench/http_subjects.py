"""The servers that the benchmarks compare, each a process of its own.

``http_subjects.py NAME PORT THREADS`` serves and never returns.  What is not
installed is left out: ``pip install waitress gunicorn cheroot granian``.
"""
from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

PATH = '/fooservice/providers'
BODIES = {'/hello': b'Hello, world.\n', '/large': b'x' * 100_000}


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Reads what is sent, answers with as much as the path says."""
    body = BODIES.get(environ['PATH_INFO'], b'ok')
    if environ['REQUEST_METHOD'] == 'POST':
        while environ['wsgi.input'].read(65536):
            pass
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


def serve_ours(port: int, threads: int) -> None:
    """zc.zkzopeserver's, without registration."""
    from zope.server.server import Server
    server = Server(application, host='127.0.0.1', port=port,
                    threads=threads)
    server.start()
    while True:
        time.sleep(3600)


def serve_registered(port: int, threads: int, **options: str) -> None:
    """The whole: registered, with a monitor server; where, the environment
    says.
    """
    import zc.zkzopeserver
    zc.zkzopeserver.run(
        application, {}, zookeeper=os.environ['ZOOKEEPER'], path=PATH,
        host='127.0.0.1', port=str(port), threads=str(threads),
        monitor_server='127.0.0.1:0', loggers='WARNING', **options)


def serve_logged(port: int, threads: int) -> None:
    """As `serve_registered`, and with an access log."""
    serve_registered(port, threads, access_log=os.environ['ACCESS_LOG'])


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
    """cheroot, with as long a listen queue as the others have.

    Its own is 5: most clients would then wait in vain for a connection, and
    that is in nobody's figures.
    """
    from cheroot.wsgi import Server
    Server(('127.0.0.1', port), application, numthreads=threads,
           request_queue_size=1024).start()


def serve_gunicorn(port: int, threads: int) -> None:
    """gunicorn with a worker of threads."""
    os.execv(sys.executable, [
        sys.executable, '-m', 'gunicorn', '-k', 'gthread', '--workers', '1',
        '--threads', str(threads), '--bind', f'127.0.0.1:{port}',
        '--chdir', str(Path(__file__).parent), '--log-level', 'error',
        'http_subjects:application'])


def serve_granian(port: int, threads: int) -> None:
    """granian, with a worker."""
    from granian import Granian
    Granian('http_subjects:application', address='127.0.0.1', port=port,
            interface='wsgi', workers=1, blocking_threads=threads,
            log_enabled=False,
            working_dir=Path(__file__).parent).serve()


SERVERS = {'zope.server': serve_zope, 'zc.zkzopeserver': serve_ours,
           'waitress': serve_waitress, 'gunicorn': serve_gunicorn,
           'cheroot': serve_cheroot, 'granian': serve_granian}
PARTS = {'registered': serve_registered, 'logged': serve_logged}


def installed() -> list[str]:
    """The servers that are here."""
    return [name for name in SERVERS
            if name in ('zope.server', 'zc.zkzopeserver')
            or importlib.util.find_spec(name)]


@contextlib.contextmanager
def running(name: str, threads: int, environment: Mapping[str, str] = {},
            python: str = sys.executable, script: str = __file__,
            ) -> Iterator[tuple[int, psutil.Process]]:
    """Yield (port, process) of a server that answers.

    `script` is the `http_subjects.py` that is run with `python`.
    """
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    # Another interpreter has its own.
    path = {} if python != sys.executable else {
        'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [python, script, name, str(port), str(threads)],
        env={**os.environ, 'PYTHONWARNINGS': 'ignore', **environment, **path},
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


if __name__ == '__main__':
    (SERVERS | PARTS)[sys.argv[1]](*map(int, sys.argv[2:]))
