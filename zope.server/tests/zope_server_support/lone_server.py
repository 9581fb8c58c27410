"""A server process of its own, for tests of what it takes from the machine.

``python -m zope_server_support.lone_server LIMITS OPTIONS``, both JSON: the
first sets resource limits (``{"NOFILE": 64}``), the second are the options of
`Server`.  It prints its port and ends with its standard input.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

BLOCK = b'x' * 100_000


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with much data, or the hash of what is sent."""
    start_response('200 OK', [('Content-Type', 'text/plain')])
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/blocks':
        return (BLOCK for _ in range(int(query)))
    if path == '/block':
        return [b'x' * int(query)]
    if path == '/hash':
        found = hashlib.sha256()
        while data := environ['wsgi.input'].read(65536):
            found.update(data)
        return [found.hexdigest().encode()]
    return [b'hello']


class Process:
    """The server process as the tests see it."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self.running = running
        self.address = '127.0.0.1', int(running.stdout.readline())

    @property
    def seconds(self) -> float:
        """The seconds of processor time that it has taken so far."""
        with open(f'/proc/{self.running.pid}/stat') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    @property
    def peak(self) -> int:
        """The most memory that it has had, in bytes."""
        with open(f'/proc/{self.running.pid}/status') as file:
            return int(re.search(r'VmHWM:\s+(\d+)', file.read())[1]) * 1024

    @property
    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(os.listdir(f'/proc/{self.running.pid}/fd'))


@contextlib.contextmanager
def process(limits: dict[str, int] | None = None, errors: Any = None,
            **options: Any) -> Iterator[Process]:
    """Yield a server that runs this module as a process."""
    running = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-m', __name__,
         json.dumps(limits or {}), json.dumps(options)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        text=True)
    with running:
        try:
            yield Process(running)
        finally:
            running.stdin.close()
            running.wait(30)


def main() -> None:
    """Serve until standard input ends."""
    from zope.server.server import Server
    limits, options = map(json.loads, sys.argv[1:])
    for name, limit in limits.items():
        kind = getattr(resource, f'RLIMIT_{name}')
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
    server = Server(application, host='127.0.0.1', **options)
    server.start()
    print(server.address[1], flush=True)
    sys.stdin.read()
    server.close()


if __name__ == '__main__':
    main()
