"""The servers that the benchmarks compare, each a process of its own.

``http_subjects.py NAME PORT THREADS`` serves and never returns.  Servers that
are not installed are left out: waitress, gunicorn, cheroot, granian, fastwsgi,
and uWSGI, of which there has to be the program (PyPI's pyuwsgi has it).  So is
the compiled form of zope.server, which ``.ci/compiled --build`` makes.

zope.server 5 has the import name of zope.server 6.  It is run with the Python
that the environment variable ZOPE_SERVER_5 names, of a virtual environment
with ``pip install zope.server==5.0 psutil`` (and pyasyncore from Python 3.12
on), and left out without it.
"""
from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import shutil
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
ZOPE_SERVER_5 = 'zope.server 5'
COMPILED = 'compiled'
# Where .ci/compiled has put it.
COMPILED_FOLDER = Path(__file__).parents[1] / '.venv-compiled' / 'server'
UWSGI = 'uwsgi'
BODIES = {'/hello': b'Hello, world.\n', '/large': b'x' * 100_000}
# A request for this path waits, as for a database.
WAIT, WAIT_S = '/wait', 0.005


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Read the body of a POST, and answer with the body of the path."""
    body = BODIES.get(environ['PATH_INFO'], b'ok')
    if environ['PATH_INFO'] == WAIT:
        time.sleep(WAIT_S)
    if environ['REQUEST_METHOD'] == 'POST':
        while environ['wsgi.input'].read(65536):
            pass
    start_response('200 OK', [('Content-Type', 'text/plain'),
                              ('Content-Length', str(len(body)))])
    return [body]


def serve_ours(port: int, threads: int) -> None:
    """Serve with zope.server 6, without registration."""
    from zope.server.server import Server
    server = Server(application, host='127.0.0.1', port=port,
                    threads=threads)
    server.start()
    while True:
        time.sleep(3600)


def serve_epoll(port: int, threads: int) -> None:
    """Answer with a hello whatever comes: as little as Python can do.

    A read of up to 64 kB is taken for a request.  There is one thread.
    """
    body = BODIES['/hello']
    response = (b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
                b'Content-Length: %d\r\n\r\n%b' % (len(body), body))
    listener = socket.create_server(('127.0.0.1', port), backlog=1024)
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                poller.register(connection.fileno(), select.EPOLLIN)
                continue
            try:
                if connections[fd].recv(65536):
                    connections[fd].send(response)
                    continue
            except ConnectionError:
                pass
            connections.pop(fd).close()


def serve_registered(port: int, threads: int, **options: str) -> None:
    """Serve with zc.zkzopeserver: registered, with a monitor server.

    The environment variable ZOOKEEPER is the connection string.
    """
    import zc.zkzopeserver
    zc.zkzopeserver.run(
        application, {}, zookeeper=os.environ['ZOOKEEPER'], path=PATH,
        host='127.0.0.1', port=str(port), threads=str(threads),
        monitor_server='127.0.0.1:0', loggers='WARNING', **options)


def serve_logged(port: int, threads: int) -> None:
    """Serve as `serve_registered`, with an access log, ACCESS_LOG."""
    serve_registered(port, threads, access_log=os.environ['ACCESS_LOG'])


def serve_measured(port: int, threads: int) -> None:
    """Serve as `serve_registered`, with metrics."""
    serve_registered(port, threads, metrics='127.0.0.1:0')


def serve_zope_5(port: int, threads: int) -> None:
    """Serve with zope.server 5."""
    import asyncore

    from zope.server.http.wsgihttpserver import WSGIHTTPServer
    from zope.server.taskthreads import ThreadedTaskDispatcher
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.setThreadCount(threads)
    WSGIHTTPServer(application, None, '127.0.0.1', port,
                   task_dispatcher=dispatcher)
    asyncore.loop(use_poll=True)


def serve_waitress(port: int, threads: int) -> None:
    """Serve with waitress."""
    import waitress
    waitress.serve(application, host='127.0.0.1', port=port, threads=threads,
                   _quiet=True)


def serve_cheroot(port: int, threads: int) -> None:
    """Serve with cheroot, with a listen queue as long as other servers'.

    Its default is 5: most clients would then wait in vain for a connection,
    which no figure shows.
    """
    from cheroot.wsgi import Server
    Server(('127.0.0.1', port), application, numthreads=threads,
           request_queue_size=1024).start()


def serve_gunicorn(port: int, threads: int) -> None:
    """Serve with gunicorn, in a worker process with threads."""
    os.execv(sys.executable, [
        sys.executable, '-m', 'gunicorn', '-k', 'gthread', '--workers', '1',
        '--threads', str(threads), '--bind', f'127.0.0.1:{port}',
        '--chdir', str(Path(__file__).parent), '--log-level', 'error',
        'http_subjects:application'])


def serve_granian(port: int, threads: int, mode: str = 'mt') -> None:
    """Serve with granian, in a worker process; its runtime is `mode`."""
    from granian import Granian
    from granian.constants import RuntimeModes
    Granian('http_subjects:application', address='127.0.0.1', port=port,
            interface='wsgi', workers=1, blocking_threads=threads,
            runtime_mode=RuntimeModes(mode), log_enabled=False,
            working_dir=Path(__file__).parent).serve()


def serve_granian_st(port: int, threads: int) -> None:
    """Serve with granian's runtime of a single thread."""
    serve_granian(port, threads, 'st')


def serve_fastwsgi(port: int, threads: int) -> None:
    """Serve with fastwsgi, which has one thread, whatever is asked for."""
    import fastwsgi
    fastwsgi.run(application, host='127.0.0.1', port=port, loglevel=0)


def serve_uwsgi(port: int, threads: int) -> None:
    """Serve with uWSGI, in a process with threads."""
    os.execvp('uwsgi', [
        'uwsgi', '--http11-socket', f'127.0.0.1:{port}', '--enable-threads',
        '--threads', str(threads), '--listen', '1024', '--disable-logging',
        '--pythonpath', str(Path(__file__).parent),
        '--module', 'http_subjects:application'])


SERVERS = {ZOPE_SERVER_5: serve_zope_5, 'zc.zkzopeserver': serve_ours,
           COMPILED: serve_ours, 'waitress': serve_waitress,
           'gunicorn': serve_gunicorn, 'cheroot': serve_cheroot,
           'granian': serve_granian, 'granian st': serve_granian_st,
           'fastwsgi': serve_fastwsgi, UWSGI: serve_uwsgi}
PARTS = {'epoll': serve_epoll, 'registered': serve_registered,
         'logged': serve_logged, 'measured': serve_measured}


def installed() -> list[str]:
    """Return the names of the servers that can be run.

    The first is what the rest is compared with.
    """
    return list(filter(is_installed, SERVERS))


def is_installed(name: str) -> bool:
    """Return whether a server can be run."""
    if name == ZOPE_SERVER_5:
        return 'ZOPE_SERVER_5' in os.environ
    if name == COMPILED:
        return COMPILED_FOLDER.exists()
    if name == UWSGI:
        return shutil.which('uwsgi') is not None
    return name == 'zc.zkzopeserver' or (
        importlib.util.find_spec(name.partition(' ')[0]) is not None)


@contextlib.contextmanager
def running(name: str, threads: int, environment: Mapping[str, str] = {},
            python: str = sys.executable, script: str = __file__,
            ) -> Iterator[tuple[int, psutil.Process]]:
    """Yield (port, process) of a server that answers.

    `script` is the `http_subjects.py` that is run with `python`.
    """
    if name == ZOPE_SERVER_5:
        python = os.environ['ZOPE_SERVER_5']
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    # Another interpreter has a path of its own.
    first = [str(COMPILED_FOLDER)] if name == COMPILED else []
    path = {} if python != sys.executable else {
        'PYTHONPATH': os.pathsep.join(filter(None, [*first, *sys.path]))}
    process = subprocess.Popen(
        [python, script, name, str(port), str(threads)],
        env={**os.environ, 'PYTHONWARNINGS': 'ignore', **environment, **path},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
