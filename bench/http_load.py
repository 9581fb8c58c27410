"""wrk against a server: requests a second, CPU a request, latency."""
from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

import psutil
from http_subjects import UWSGI
from http_subjects import WAIT
from http_subjects import running

UPLOAD = ('wrk.method = "POST"; wrk.body = string.rep("x", 1048576);'
          ' wrk.path = "/upload"')
# What a browser sends with a request; with Host these are nine fields.
BROWSER = {
    'Connection': 'keep-alive',
    'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101'
                  ' Firefox/128.0',
    'Accept': 'text/html,application/xhtml+xml,application/xml;q=0.9,'
              'image/avif,image/webp,*/*;q=0.8',
    'Accept-Language': 'en-US,en;q=0.7,de;q=0.3',
    'Accept-Encoding': 'gzip, deflate, br, zstd',
    'Referer': 'https://www.example.com/folder/index.html',
    'Cookie': 'session=3f1c0b7a9d2e4c58b6a1f0e9d8c7b6a5; theme=dark',
    'Upgrade-Insecure-Requests': '1',
}


class Cell(NamedTuple):
    """What is measured together."""

    path: str
    threads: int
    connections: int
    keep_alive: bool = True
    is_browser: bool = False

    @property
    def kind(self) -> str:
        """The kind of request."""
        kind = {'/hello': 'hello', '/large': '100 kB', WAIT: '5 ms',
                '/upload': '1 MB upload'}[self.path]
        return kind + (" with a browser's head" if self.is_browser else '')

    @property
    def size(self) -> str:
        """Threads, connections and ``close``, in short."""
        return (f'{self.threads}, {self.connections}'
                + ('' if self.keep_alive else ', close'))

    def __str__(self) -> str:
        return (f'{self.kind}, {self.threads} threads, {self.connections}'
                f' connections{"" if self.keep_alive else ", close"}')


class Figures(NamedTuple):
    """What a server did in a run."""

    rate: float     # requests a second
    cpu: float      # microseconds of the server's CPU a request
    p99: float      # milliseconds
    served: float   # connections, on average
    errors: int


def median(runs: Iterable[Figures]) -> Figures:
    """Return the median of each figure, and the sum of the errors."""
    *figures, errors = zip(*runs, strict=True)
    return Figures(*map(statistics.median, figures), sum(errors))


def conditions(seconds: int, rounds: int) -> str:
    """Return where and how it is measured; exit without wrk."""
    if not shutil.which('wrk'):
        raise SystemExit('wrk is needed: apt-get install wrk')
    return (f'{datetime.date.today()}, Python {platform.python_version()},'
            f' {os.cpu_count()} cores, wrk for {seconds} s, {rounds} rounds'
            ' in turn')


def cpu_seconds(process: psutil.Process) -> float:
    """Return the seconds of CPU that a process and its children have used."""
    found = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in found)


def measure(name: str, cell: Cell, seconds: int) -> Figures:
    """Start a server, run wrk against it, and return the figures."""
    # uWSGI's threads serve a connection each, until it ends.
    threads = (max(cell.threads, cell.connections) if name == UWSGI
               else cell.threads)
    with running(name, threads) as (port, process):
        return load(port, process, cell, seconds)


def load(port: int, process: psutil.Process, cell: Cell,
         seconds: int) -> Figures:
    """Run wrk against a server that runs; return the figures."""
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script:
        command = ['wrk', '-t1', f'-c{cell.connections}', f'-d{seconds}s',
                   '--latency', f'http://127.0.0.1:{port}{cell.path}']
        if cell.path == '/upload':
            script.write(UPLOAD)
            script.flush()
            command += ['-s', script.name]
        if not cell.keep_alive:
            command += ['-H', 'Connection: close']
        if cell.is_browser:
            for name, value in BROWSER.items():
                if cell.keep_alive or name != 'Connection':
                    command += ['-H', f'{name}: {value}']
        before = cpu_seconds(process)
        output = subprocess.run(command, text=True, check=True,
                                stdout=subprocess.PIPE).stdout
        used = cpu_seconds(process) - before
    return figures(output, used)


def figures(output: str, used: float) -> Figures:
    """Return figures from the output of wrk; `used` are seconds of CPU."""
    done = int(re.search(r'(\d+) requests in', output)[1])
    rate = float(re.search(r'Requests/sec:\s+([\d.]+)', output)[1])
    errors = sum(map(int, re.findall(
        r'(?:connect|read|write|timeout|responses:) (\d+)', output)))
    return Figures(rate, 1e6 * used / max(done, 1),
                   milliseconds('99%', output),
                   rate * milliseconds('Latency', output) / 1000, errors)


def milliseconds(name: str, output: str) -> float:
    """Return a time that wrk has printed, in milliseconds."""
    number, unit = re.search(rf'{name}\s+([\d.]+)(us|ms|s|m)\b',
                             output).groups()
    return float(number) * {'us': 0.001, 'ms': 1, 's': 1000,
                            'm': 60_000}[unit]
