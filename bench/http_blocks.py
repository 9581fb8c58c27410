"""What a server adds to a response of 10,000 short lines, and to events.

``bin/py bench/http_blocks.py`` prints, for three generators of 10,000 lines,
the CPU of a response and that of the generator alone.  It then prints how
long after the application's ``yield`` a client has each of 2,400 lines, which
the application makes in bursts of up to 12.

The best of several rounds count for CPU, as a shared machine only adds to it.
For the delays, ``chrt -f 20 bin/py ...`` keeps other processes away.
"""
from __future__ import annotations

import csv
import socket
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from zope.server import Server

LINES = 10_000
ROUNDS, RESPONSES = 5, 40
EVENTS = 100


class Echo:
    """A file whose `write` returns what it gets, as Django's CSV example."""

    @staticmethod
    def write(value: str) -> str:
        """Return the value."""
        return value


def constant() -> Iterator[bytes]:
    """Yield the same line."""
    return (b'a short line of text\n' for _ in range(LINES))


def formatted() -> Iterator[bytes]:
    """Yield lines with their numbers."""
    return (b'line %d of the file\n' % number for number in range(LINES))


def rows() -> Iterator[bytes]:
    """Yield rows of the csv module."""
    writer: Any = csv.writer(Echo())
    return (writer.writerow([f'Row {number}', str(number)]).encode()
            for number in range(LINES))


def events() -> Iterator[bytes]:
    """Yield the time, in bursts and with pauses."""
    for number in range(EVENTS):
        for _ in range(1 + number % 12):
            yield b'%r\n' % time.monotonic()
        time.sleep(0.01)


PATHS: dict[str, Callable[[], Iterator[bytes]]] = {
    '/constant': constant, '/formatted': formatted, '/rows': rows,
    '/events': events}


def application(environ: dict[str, Any],
                start_response: Any) -> Iterator[bytes]:
    """Answer with the generator of the path."""
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return PATHS[environ['PATH_INFO']]()


def ask(sock: socket.socket, path: str) -> None:
    """Ask and read the response."""
    sock.sendall(f'GET {path} HTTP/1.1\r\nHost: a\r\n\r\n'.encode())
    tail = b''
    while not tail.endswith(b'\r\n0\r\n\r\n'):
        tail = tail[-6:] + sock.recv(2 ** 20)


def cpu(function: Callable[[], object], count: int) -> float:
    """Return the milliseconds of this process's CPU for a call, at best."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            function()
        found.append((time.process_time() - began) / count)
    return min(found) * 1e3


def delays(address: tuple[str, int]) -> list[float]:
    """Return how long each line of `events` took, in milliseconds."""
    found = []
    with socket.create_connection(address) as sock:
        # HTTP/1.0: the lines come without chunks.
        sock.sendall(b'GET /events HTTP/1.0\r\n\r\n')
        data = b''
        while more := sock.recv(65536):
            now = time.monotonic()
            *lines, data = (data + more).split(b'\n')
            found += [now - float(line) for line in lines
                      if line.replace(b'.', b'').isdigit()]
    return sorted(delay * 1e3 for delay in found)


def main() -> None:
    """Measure and print."""
    server = Server(application, host='127.0.0.1')
    server.start()
    print(sys.version.split()[0])
    try:
        with socket.create_connection(server.address) as sock:
            for path in list(PATHS)[:-1]:
                both = cpu(lambda path=path: ask(sock, path), RESPONSES)
                alone = cpu(lambda path=path: list(PATHS[path]()), RESPONSES)
                print(f'{path:12} CPU {both:6.2f} ms, the generator'
                      f' alone {alone:6.2f} ms (client included)')
        found = sorted(sum((delays(server.address) for _ in range(4)), []))
        print(f'/events      {len(found)} lines, delay'
              f' {found[len(found) // 2]:.2f} ms, p99'
              f' {found[len(found) * 99 // 100]:.2f} ms, at most'
              f' {found[-1]:.2f} ms')
    finally:
        server.close()


if __name__ == '__main__':
    main()
