"""Instructions and bytecodes of a request, counted rather than timed.

``bin/py bench/http_counted.py BEFORE/bin/py AFTER/bin/py`` runs the engine of
each checkout in one thread, with its client, and counts the instructions of
the process with valgrind (callgrind).  It prints the difference between
RUNS requests and none, for each request.  Another load of the machine does not
change it: two runs differ by a thousandth.  The kernel's part is left out.

The last two kinds of request are a hello to a server with an access log, whose
lines are written in one go at the end, and to one that counts for metrics.

``bin/py bench/http_counted.py --bytecodes`` counts, by functions, the
bytecodes that the interpreter executes.
"""
from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

import zope.server.accesslog
import zope.server.connection
from zope.server import Server

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
import http_subjects

# Kinds of requests: the path, and the arguments of the server.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    'hello': ('/hello', {}),
    'browser': ('/hello', {}),
    'closed': ('/hello', {}),
    '100 kB': ('/large', {}),
    'logged': ('/hello', {'access_log': 'access.log'}),
    'measured': ('/hello', {'measure': True}),
}
FIELDS = {'browser': http_load.BROWSER, 'closed': {'Connection': 'close'}}
# Before the first that counts: caches are filled by then.
WARM, RUNS = 300, 1000


class Engine:
    """An engine without threads of its own, and a client."""

    def __init__(self, kind: str) -> None:
        # Valgrind takes its time: requests are to be as usual as without it.
        zope.server.connection.USUAL_S = 60.0  # type: ignore[misc]
        zope.server.accesslog.SHORT_US = 60e6
        path, arguments = KINDS[kind]
        self.server = Server(http_subjects.application, host='127.0.0.1',
                             **arguments)
        self._loop = self.server.engine.loop
        self._threads = self.server.engine.threads
        self._loop.open()
        self._is_kept = kind != 'closed'
        self._client = self._connected()
        fields = {'Host': 'www.example.com', **FIELDS.get(kind, {})}
        lines = [f'GET {path} HTTP/1.1',
                 *(f'{name}: {value}' for name, value in fields.items())]
        self._request = '\r\n'.join([*lines, '', '']).encode()
        self._size = len(http_subjects.BODIES[path])

    def _connected(self) -> socket.socket:
        client = socket.create_connection(self.server.address)
        client.setblocking(False)
        return client

    def ask(self) -> None:
        """Send a request, and read the response."""
        self._client.send(self._request)
        read = 0
        while read < self._size:
            self._turn()
            try:
                read += len(self._client.recv(2 ** 20))
            except BlockingIOError:
                pass
        if not self._is_kept:
            self._client.close()
            self._client = self._connected()

    def _turn(self) -> None:
        """Do what a leader of the pool does in a turn."""
        grace = self._loop.turn()
        started = time.monotonic()
        began = started + grace
        for _ in range(len(self._loop.ready)):
            ended = self._threads._run_ready(started)
            self._threads._note(ended - began)
            started = began = ended


class Counter:
    """Counts bytecodes by function, while it is entered."""

    def __init__(self) -> None:
        self.codes: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> None:
        sys.settrace(self._enter)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._count

    def _count(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == 'opcode':
            self.codes[f'{Path(frame.f_code.co_filename).name}'
                       f' {frame.f_code.co_name}'] += 1
        return self._count


def count_bytecodes(kind: str) -> None:
    """Print the bytecodes of a request, by functions."""
    engine, counter = Engine(kind), Counter()
    for _ in range(WARM):
        engine.ask()
    with counter:
        engine.ask()
    engine.server.close()
    print(f'{kind}: {sum(counter.codes.values())} bytecodes, in'
          f' {len(counter.codes)} functions')
    for name, count in counter.codes.most_common():
        print(f'  {count:4} {name}')


def instructions(python: str, kind: str, requests: int) -> int:
    """Return the instructions of a process that asks so many times."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ['valgrind', '--tool=callgrind',
             '--callgrind-out-file=/dev/null', str(Path(python).absolute()),
             str(Path(__file__).absolute()),
             '--ask', str(requests), '--kinds', kind],
            env={'PYTHONHASHSEED': '0', 'PYTHONDONTWRITEBYTECODE': '1'},
            stderr=subprocess.PIPE, text=True, check=True, cwd=folder)
    match = re.search(r'Collected : ([0-9]+)', done.stderr)
    if match is None:
        raise SystemExit(f'valgrind says nothing: {done.stderr[-500:]}')
    return int(match[1])


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pythons', nargs='*', metavar='PYTHON',
                        help='such as OLD/bin/py')
    parser.add_argument('--bytecodes', action='store_true')
    parser.add_argument('--kinds', nargs='*', choices=KINDS, default=KINDS)
    parser.add_argument('--ask', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask is not None:
        kind, = arguments.kinds
        engine = Engine(kind)
        for _ in range(WARM + arguments.ask):
            engine.ask()
        engine.server.close()
        return
    if arguments.bytecodes:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for kind in arguments.kinds:
                count_bytecodes(kind)
        return
    if not shutil.which('valgrind'):
        raise SystemExit('valgrind is needed: apt-get install valgrind')
    for kind in arguments.kinds:
        for python in arguments.pythons:
            more = (instructions(python, kind, RUNS)
                    - instructions(python, kind, 0))
            print(f'{kind:8} {more / RUNS:9.0f} instructions  {python}',
                  flush=True)


if __name__ == '__main__':
    main()
