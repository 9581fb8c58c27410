"""How long a server takes to come, to go and to come back; its memory.

``bin/py bench/lifecycle.py`` measures, on a real Apache ZooKeeper (or on the
embedded server with ``--embedded``), with the hello application:

- process start to node visible, by the client that watches the path,
- SIGTERM to node gone, idle and with requests in flight,
- session expired to node back,
- SIGKILL and restart on a fixed port to node replaced,
- memory after 50 requests: resident (RSS) and private, of smaps_rollup
  (proc(5)).

``--original COMMAND`` runs another server in turn with ours, for the ratio:
the command is given the connection string as its last argument, and has to
register below /fooservice/providers.  The ``bin/py`` of another checkout of
this project serves with ``--checkout``.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from zc.zk.testing.apache import Apache
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.development import Embedded

PATH = '/fooservice/providers'
START = ('import sys; from zc.zkzopeserver.start import main;'
         ' sys.exit(main(sys.argv[-1], "web", []))')


class Watched:
    """When the children of the path came and went, by the clock."""

    def __init__(self, client) -> None:
        self.client = client
        self.changed = threading.Condition()
        self.names: dict[str, int] = {}
        self.at = 0.0
        client.ensure_path(PATH)
        client.ChildrenWatch(PATH)(self._children)

    def _children(self, names) -> None:
        at = time.perf_counter()
        with self.changed:
            self.names, self.at = names, at
            self.changed.notify_all()

    def wait(self, condition, timeout_s: float = 60) -> float:
        """Return when the names first met the condition."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.names),
                                         timeout_s):
                raise SystemExit(f'not seen in {timeout_s} s')
            return self.at


def write_ini(folder: Path, connection: str, **options: str) -> Path:
    """Write the ini of a hello server; return its path."""
    options = {'zookeeper': connection, 'path': PATH, 'host': '127.0.0.1',
               'deregister_wait': '0', 'loggers': 'WARNING', **options}
    path = folder / f'web-{os.urandom(4).hex()}.ini'
    path.write_text(
        '[app:main]\nuse = call:zc.zkzopeserver.hello:make_hello\n'
        '[server:main]\nuse = egg:zc.zkzopeserver\n'
        + ''.join(f'{name} = {value}\n' for name, value in options.items()))
    return path


@contextlib.contextmanager
def process(command: list[str]):
    """Run a process, which is gone afterwards."""
    environ = dict(os.environ)
    # As in a deployment, modules are compiled once; the first run does that.
    environ.pop('PYTHONDONTWRITEBYTECODE', None)
    if command[0] == sys.executable:
        environ['PYTHONPATH'] = os.pathsep.join(filter(None, sys.path))
    else:
        environ.pop('PYTHONPATH', None)
    running = subprocess.Popen(command, env=environ)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def ours(ini: Path) -> list[str]:
    """Return the command of this checkout's server."""
    return [sys.executable, '-c', START, str(ini)]


def memory(pid: int) -> tuple[float, float]:
    """Return the resident and the private memory of a process, in MiB."""
    resident = private = 0
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == 'Rss':
            resident = int(value.split()[0])
        elif name in ('Private_Clean', 'Private_Dirty'):
            private += int(value.split()[0])
    return resident / 1024, private / 1024


def start_and_weigh(command: list[str],
                    watched: Watched) -> tuple[float, float, float]:
    """Return (seconds from start to node visible, RSS, private) in MiB."""
    began = time.perf_counter()
    with process(command) as running:
        visible = watched.wait(len) - began
        for _ in range(50):
            urllib.request.urlopen(f'http://{watched.names[0]}/').close()
        found = memory(running.pid)
        running.send_signal(signal.SIGTERM)
        watched.wait(lambda names: not names)
        running.wait()
    return visible, *found


def start_and_stop(command: list[str], watched: Watched,
                   busy: bool = False) -> tuple[float, float]:
    """Seconds from start to node visible, and from SIGTERM to node gone."""
    began = time.perf_counter()
    with process(command) as running:
        visible = watched.wait(len) - began
        ending = threading.Event()
        askers = []
        if busy:
            url = f'http://{watched.names[0]}/'
            askers = [threading.Thread(target=ask, args=(url, ending))
                      for _ in range(4)]
            for asker in askers:
                asker.start()
            time.sleep(0.2)
        began = time.perf_counter()
        running.send_signal(signal.SIGTERM)
        gone = watched.wait(lambda names: not names) - began
        ending.set()
        for asker in askers:
            asker.join()
        running.wait()
    return visible, gone


def ask(url: str, ending: threading.Event) -> None:
    """Send requests, until `ending` is set or the server is gone."""
    with contextlib.suppress(OSError):
        while not ending.is_set():
            urllib.request.urlopen(url, timeout=5).close()


def replaced(ini: Path, watched: Watched) -> float:
    """Seconds from a restart after SIGKILL to the node in a new session."""
    with process(ours(ini)) as first:
        watched.wait(len)
        path = f'{PATH}/{watched.names[0]}'
        old = watched.client.exists(path).ephemeralOwner
        first.send_signal(signal.SIGKILL)
        first.wait()
        began = time.perf_counter()
        with process(ours(ini)) as second:
            while True:
                stat = watched.client.exists(path)
                if stat and stat.ephemeralOwner != old:
                    took = time.perf_counter() - began
                    break
            second.send_signal(signal.SIGTERM)
            watched.wait(lambda names: not names)
            second.wait()
    return took


def expired(connection: str, server, watched: Watched) -> float:
    """Seconds from the end of a session to the node's return.

    In this process, where the session can be reached to be ended.
    """
    import zc.zk
    with zc.zk.ZooKeeper(connection, 4) as zk:
        zk.register(PATH, '127.0.0.1:1')
        watched.wait(len)
        server.expire(zk.client)
        began = time.perf_counter()
        while not watched.names:
            time.sleep(0.001)
        took = max(0.0, watched.at - began)
    watched.wait(lambda names: not names)
    return took


def row(name: str, values: list[float], scale: float = 1000) -> None:
    """Print a figure's minimum, median and maximum."""
    low, middle, high = (scale * value for value in (
        min(values), statistics.median(values), max(values)))
    print(f'{name:45} {low:9.1f} {middle:9.1f} {high:9.1f}')


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--embedded', action='store_true')
    parser.add_argument('--runs', type=int, default=7)
    parser.add_argument('--original', type=shlex.split,
                        help='a command to run in turn with ours')
    parser.add_argument('--checkout', metavar='BIN/PY',
                        help='bin/py of another checkout, to run in turn')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kind = Embedded if arguments.embedded else Apache
        with kind(Path(folder) / 'zookeeper') as server:
            measure(Path(folder), server, arguments)


def measure(folder: Path, server, arguments) -> None:
    """All figures, against one server."""
    client = start_client(server.connection_string, timeout=30.)
    watched = Watched(client)
    connection = server.connection_string
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    fixed = write_ini(folder, connection, port=str(port),
                      session_timeout='30000')
    ini = write_ini(folder, connection)
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for number in range(arguments.runs + 1):
        figures = {}
        weights = {}
        figures['start to node visible'], figures[
            'SIGTERM to node gone'] = start_and_stop(ours(ini), watched)
        _, weights['resident'], weights['private'] = start_and_weigh(
            ours(ini), watched)
        if arguments.checkout:
            (figures['start to node visible, the checkout'],
             weights['resident, the checkout'],
             weights['private, the checkout']) = start_and_weigh(
                 [arguments.checkout, *ours(ini)[1:]], watched)
        _, figures['SIGTERM to node gone, under load'] = start_and_stop(
            ours(ini), watched, busy=True)
        if arguments.original:
            figures['start to node visible, the other'], figures[
                'SIGTERM to node gone, the other'] = start_and_stop(
                    [*arguments.original, connection], watched)
        figures['session expired to node back'] = expired(
            connection, server, watched)
        figures['restart after SIGKILL to node replaced'] = replaced(
            fixed, watched)
        if number:  # the first is for warming up
            for name, value in (figures | weights).items():
                note(name, value)
    stop_client(client)
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {os.cpu_count()} cores, {type(server).__name__} ZooKeeper,'
          f' {arguments.runs} runs')
    print(f'{"milliseconds":45} {"minimum":>9} {"median":>9} {"maximum":>9}')
    for name, values in found.items():
        if name not in weights:
            row(name, values)
    print(f'{"MiB":45} {"minimum":>9} {"median":>9} {"maximum":>9}')
    for name in weights:
        row(name, found[name], 1)


if __name__ == '__main__':
    main()
