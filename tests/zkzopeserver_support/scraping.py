"""Read metrics as Prometheus does, with nothing but a socket."""
from __future__ import annotations

import re
import socket

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')


def exchange(address: str, request: bytes) -> bytes:
    """Send a request to ``HOST:PORT``; return all that is answered."""
    host, _, port = address.rpartition(':')
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(request)
        return client.makefile('rb').read()


def scrape(address: str) -> dict[tuple[str, str], float]:
    """Return the metrics at ``HOST:PORT``: (name, labels as text) -> value."""
    answer = exchange(address, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    head, _, body = answer.partition(b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.1 200 OK\r\n'), head
    found: dict[tuple[str, str], float] = {}
    for line in body.decode().splitlines():
        if line.startswith('#'):
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample is not None, line
        key = sample[1], sample[2] or ''
        assert key not in found, line
        found[key] = float(sample[3])
    return found
