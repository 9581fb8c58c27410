"""``bin/demo``: the whole system on this machine, to look at.

An embedded ZooKeeper, a tree, the web servers whose scripts buildout has
made, and a client that finds the servers by looking in ZooKeeper.
"""
from __future__ import annotations

import argparse
import contextlib
import functools
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import IO

import zc.zk
import zc.zk.embedded
from zc.zk.testing.proxy import Proxy

from zc.zkzopeserver import signals

TREE = """\
/demo : demonstration
  /api
    greeting = 'Hello from the API.'
    /providers
  /web
    title = 'The demo'
    api -> /demo/api/providers
    /providers
"""
START_TIMEOUT_S = 30

# The options of web on a terminal: some of its workers can be killed, and its
# session ends soon when it is cut off.
FOR_KEYS: tuple[str, ...] = ('workers=2', 'session_timeout=4000')


# A process that outlives the demo reads pids of servers, one a line, which
# come again once these have stopped.  A demo that was killed leaves some.
GUARD = """\
import os, signal, sys, time
pids = set()
for line in sys.stdin:
    pids ^= {int(line)}
for number in signal.SIGTERM, signal.SIGKILL:
    for pid in list(pids):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            pids.remove(pid)
    time.sleep(5 if pids else 0)
"""


class DemoFailed(Exception):
    """Something was not as it should be; the text says what."""


class DemoServer:
    """A server of the demo: its process, and what that has written.

    `workers` is how many processes register.
    """

    def __init__(self, name: str, popen: subprocess.Popen[bytes],
                 output: IO[bytes], workers: int = 1) -> None:
        self.name = name
        self.popen = popen
        self.workers = workers
        self._output = output

    @property
    def has_stopped(self) -> bool:
        """Whether the process has ended as it should, with status 0."""
        return self.popen.returncode == 0

    def describe_end(self) -> str:
        """Return how the process has ended, with its last lines."""
        return (f'{self.name} ended with status {self.popen.returncode}'
                f'{self.tail()}')

    def tail(self) -> str:
        """Return the last lines that the process has written, indented."""
        self._output.seek(0)
        lines = self._output.read().decode(errors='replace').splitlines()
        return ''.join(f'\n    {line}' for line in lines[-12:])


def main(scripts: Mapping[str, str],
         argv: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status.

    `scripts` maps the name of a service to the path of its start script.
    """
    arguments = parser().parse_args(argv)
    stays = sys.stdout.isatty() and not arguments.once
    try:
        # The servers, in sessions of their own, would outlive a demo that is
        # terminated, or whose terminal is closed.
        with signals.calling((signal.SIGTERM, signal.SIGHUP), interrupt):
            run(scripts, stays)
    except DemoFailed as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ndemo: stopped', file=sys.stderr)
    return 0


def interrupt() -> None:
    """Raise KeyboardInterrupt, as a Ctrl-C does."""
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog='demo', description='Run an embedded ZooKeeper and the web'
        ' servers of this buildout, and find them by looking in ZooKeeper.')
    made.add_argument('--once', action='store_true',
                      help='stop everything after showing it (as when the'
                           ' output is not a terminal)')
    return made


def run(scripts: Mapping[str, str], stays: bool) -> None:
    """Start everything, show it, and stop it; raise DemoFailed for a fault.

    With `stays`, do what keys say until a Ctrl-C, before the stop.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(zc.zk.embedded.Server())
        where = server.connection_string
        options: tuple[str, ...] = ()
        say(f'ZooKeeper (embedded, for development) is at {where}')
        zk = stack.enter_context(closing_client(where))
        zk.import_tree(TREE)
        proxy = None
        if stays:
            proxy = stack.enter_context(contextlib.closing(Proxy(where)))
            where, options = proxy.connection_string, FOR_KEYS
        guard = stack.enter_context(guarding())
        with servers(scripts, where, guard, options) as processes:
            show(zk, processes)
            if proxy is not None:
                play(zk, scripts, processes, proxy, guard)
        check_gone(zk, processes)
    say('all servers stopped, and their nodes are gone')


@contextlib.contextmanager
def closing_client(connection_string: str) -> Iterator[zc.zk.ZooKeeper]:
    """Connect a ZooKeeper client, and close it at the end."""
    zk = zc.zk.ZooKeeper(connection_string)
    try:
        yield zk
    finally:
        zk.close()


@contextlib.contextmanager
def guarding() -> Iterator[Callable[[int], None]]:
    """Yield a function that is told the pid of a server.

    A first time when the server has started, and again when it has stopped.
    The servers that are left are stopped if this process is killed.
    """
    with subprocess.Popen([sys.executable, '-c', GUARD], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          start_new_session=True) as popen:
        pipe = popen.stdin
        if pipe is None:
            raise DemoFailed('there is no pipe')

        def tell(pid: int) -> None:
            # Without its guard the demo does as well.
            with contextlib.suppress(OSError):
                print(pid, file=pipe, flush=True)
        yield tell


@contextlib.contextmanager
def servers(scripts: Mapping[str, str], connection_string: str,
            guard: Callable[[int], None],
            options: Sequence[str] = ()) -> Iterator[list[DemoServer]]:
    """Run the start scripts; stop them at the end, as an operator does.

    `options`, as ``NAME=VALUE``, are for the server `web`.
    """
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(started(
            name, script, connection_string, guard,
            options if name == 'web' else ()))
            for name, script in scripts.items()]


@contextlib.contextmanager
def started(name: str, script: str, connection_string: str,
            guard: Callable[[int], None], options: Sequence[str] = ()
            ) -> Iterator[DemoServer]:
    """Run one start script; keep its output for when it fails."""
    with tempfile.TemporaryFile() as output:
        try:
            popen = subprocess.Popen(
                [script, *(word for option in (
                    f'zookeeper={connection_string}', *options)
                    for word in ('-o', option))],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # A Ctrl-C reaches the demo only, which then stops its servers
                # in order.
                start_new_session=True)
        except OSError as error:
            raise DemoFailed(
                f'cannot run {script}: {error.strerror}') from None
        process = DemoServer(name, popen, output,
                             2 if options == FOR_KEYS else 1)
        guard(popen.pid)
        try:
            yield process
            if popen.returncode is not None:
                # It ended while the demo stayed, which has told that.
                return
            popen.terminate()
            if popen.wait(START_TIMEOUT_S):
                raise DemoFailed(process.describe_end())
        finally:
            popen.kill()
            popen.wait()
            guard(popen.pid)


def show(zk: zc.zk.ZooKeeper, processes: Sequence[DemoServer]) -> None:
    """Fetch a page from each server, by its address found in ZooKeeper."""
    for process in processes:
        path = f'/demo/{process.name}/providers'
        wait_for(functools.partial(has_nodes, zk, path, process.workers),
                 process, f'{process.name} did not register at {path}')
        addresses = zk.get_children(path)
        say(f'{process.name} is at {" and ".join(addresses)}; it says:'
            f' {fetch(addresses[0])}')
    say('the tree, with the live nodes:')
    print()
    zk.print_tree('/demo')
    print(flush=True)


def has_nodes(zk: zc.zk.ZooKeeper, path: str, count: int) -> bool:
    """Return whether `count` servers are registered at a path."""
    return len(zk.get_children(path)) >= count


def wait_for(condition: Callable[[], object], process: DemoServer,
             otherwise: str) -> None:
    """Wait until `condition` returns something true.

    Raise DemoFailed when the process ends, and with the text `otherwise` after
    START_TIMEOUT_S seconds.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if process.popen.poll() is not None:
            raise DemoFailed(process.describe_end())
        if time.monotonic() > deadline:
            raise DemoFailed(otherwise + process.tail())
        time.sleep(0.02)


def fetch(address: str) -> str:
    """Return the text of the page at ``http://HOST:PORT/``."""
    url = f'http://{address}/'
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return page.read().decode().strip()
    except OSError as error:
        raise DemoFailed(f'{url}: {error}') from None


def look_further(url: str, connection_string: str, keys: str) -> None:
    """Print what to try while the demo runs."""
    say(f'see it live in a browser: {url}')
    say('or in another terminal:')
    print(f'''
    bin/zookeeper_watch {connection_string} /demo
    curl -i http://HOST:PORT/         with an address from the tree
    echo help | nc HOST PORT          with a monitor address from the tree

And press a key here:

{keys}
''', flush=True)


def play(zk: zc.zk.ZooKeeper, scripts: Mapping[str, str],
         processes: Sequence[DemoServer], proxy: Proxy,
         guard: Callable[[int], None]) -> None:
    """Do what the user's keys say until `q` or Ctrl-C.

    Tell of each server that ends meanwhile.
    """
    # Imported here: without a terminal it is not needed.
    from zc.zkzopeserver import demokeys
    web = next(each for each in processes if each.name == 'web')
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack(
            ) as stack:
        url = stack.enter_context(demokeys.viewed(zk, '/demo'))
        keys = stack.enter_context(contextlib.closing(demokeys.Keys(
            zk, '/demo/web/providers', web.popen.pid, proxy,
            lambda: one_more(scripts['web'], proxy.connection_string, guard),
            say)))
        look_further(url, '{}:{}'.format(*proxy.target), demokeys.HELP)
        key = stack.enter_context(demokeys.single_keys())
        pressed = ''
        while pressed != 'q':
            for process in processes:
                popen = process.popen
                if popen.returncode is None and popen.poll() is not None:
                    say(process.describe_end())
            pressed = key(0.5)
            if pressed and pressed != 'q' and not keys.press(pressed):
                print(demokeys.HELP, flush=True)


def one_more(script: str, connection_string: str,
             guard: Callable[[int], None]) -> Callable[[], None]:
    """Start one more server of a script; return what stops it."""
    stack = contextlib.ExitStack()
    stack.enter_context(started('web', script, connection_string, guard))
    return stack.close


def check_gone(zk: zc.zk.ZooKeeper,
               processes: Sequence[DemoServer]) -> None:
    """Raise DemoFailed when a server that was stopped is still registered.

    The node of a server that was killed goes with its session, later.
    """
    for process in processes:
        left = zk.get_children(f'/demo/{process.name}/providers')
        if left and process.has_stopped:
            raise DemoFailed(
                f'{process.name} has stopped and is still registered: '
                + ', '.join(left))


def say(text: str) -> None:
    """Print a line for the user."""
    print(f'demo: {text}', flush=True)
