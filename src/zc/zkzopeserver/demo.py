"""``bin/demo``: the whole system on this machine, to look at.

An embedded ZooKeeper, a tree, the web servers whose scripts buildout made,
and a client that finds them by looking in ZooKeeper.
"""
from __future__ import annotations

import argparse
import contextlib
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

import zc.zk
import zc.zk.embedded

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


class Failed(Exception):
    """Something was not as it should be; the text says what."""


def main(scripts: Mapping[str, str],
         argv: Sequence[str] | None = None) -> int:
    """Run the demo; `scripts` maps a service's name to its start script."""
    arguments = parser().parse_args(argv)
    stays = sys.stdout.isatty() and not arguments.once
    try:
        # The servers, in sessions of their own, would outlive the demo when
        # it is terminated or when its terminal is closed.
        with signals.calling((signal.SIGTERM, signal.SIGHUP), interrupt):
            run(scripts, stays)
    except Failed as reason:
        print(f'demo: {reason}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ndemo: stopped', file=sys.stderr)
    return 0


def interrupt() -> None:
    """As a Ctrl-C does."""
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='demo', description='Run an embedded ZooKeeper and the web'
        ' servers of this buildout, and find them by looking in ZooKeeper.')
    made.add_argument('--once', action='store_true',
                      help='stop everything after showing it (as when the'
                           ' output is not a terminal)')
    return made


def run(scripts: Mapping[str, str], stays: bool) -> None:
    """Start everything, show it, stop it; Failed when something is wrong."""
    with zc.zk.embedded.Server() as server:
        say(f'ZooKeeper (embedded, for development) is at'
            f' {server.connection_string}')
        with closing_client(server.connection_string) as zk:
            zk.import_tree(TREE)
            with servers(scripts, server.connection_string) as processes:
                show(zk, processes)
                if stays:
                    look_further(server.connection_string)
                    wait_for_interrupt(processes)
            check_gone(zk, processes)
    say('all servers stopped, and their nodes are gone')


@contextlib.contextmanager
def closing_client(connection_string: str) -> Iterator[zc.zk.ZooKeeper]:
    """A ZooKeeper client, closed at the end."""
    zk = zc.zk.ZooKeeper(connection_string)
    try:
        yield zk
    finally:
        zk.close()


@contextlib.contextmanager
def servers(scripts: Mapping[str, str], connection_string: str
            ) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The start scripts' processes; stopped at the end, as an operator does.
    """
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(
                   started(name, script, connection_string))
               for name, script in scripts.items()}


@contextlib.contextmanager
def started(name: str, script: str, connection_string: str
            ) -> Iterator[subprocess.Popen[bytes]]:
    """One start script's process, its output kept for when it fails."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [script, '-o', f'zookeeper={connection_string}'],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # A Ctrl-C is for the demo, which then stops its servers in
                # order.
                start_new_session=True)
        except OSError as reason:
            raise Failed(f'cannot run {script}: {reason.strerror}') from None
        process.output = output
        try:
            yield process
            if process.returncode is not None:
                # It ended while somebody looked on, who has been told.
                return
            process.terminate()
            if process.wait(START_TIMEOUT_S):
                raise Failed(ending(name, process))
        finally:
            process.kill()
            process.wait()


def ending(name: str, process: subprocess.Popen[bytes]) -> str:
    """How a process has ended."""
    return f'{name} ended with status {process.returncode}{tail(process)}'


def tail(process: subprocess.Popen[bytes]) -> str:
    """The last lines that a process wrote."""
    process.output.seek(0)
    lines = process.output.read().decode(errors='replace').splitlines()
    return ''.join(f'\n    {line}' for line in lines[-12:])


def show(zk: zc.zk.ZooKeeper,
         processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Fetch a page from each server, by its address found in ZooKeeper."""
    for name, process in processes.items():
        path = f'/demo/{name}/providers'
        wait_for(lambda path=path: list(zk.get_children(path)),
                 f'{name} did not register at {path}', process, name)
        address = zk.get_children(path)[0]
        say(f'{name} is at {address}; it says: {fetch(address)}')
    say('the tree, with the live nodes:')
    print()
    zk.print_tree('/demo')
    print(flush=True)


def wait_for(condition: Callable[[], object], otherwise: str,
             process: subprocess.Popen[bytes], name: str) -> None:
    """Until `condition` is true; Failed when the process ends or in time."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if process.poll() is not None:
            raise Failed(ending(name, process))
        if time.monotonic() > deadline:
            raise Failed(otherwise + tail(process))
        time.sleep(0.02)


def fetch(address: str) -> str:
    """The text of the first page at HOST:PORT."""
    url = f'http://{address}/'
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return page.read().decode().strip()
    except OSError as reason:
        raise Failed(f'{url}: {reason}') from None


def look_further(connection_string: str) -> None:
    """What to try while it runs."""
    say('look further, in another terminal:')
    print(f'''
    bin/zookeeper_export {connection_string} --ephemeral
    curl -i http://HOST:PORT/         with an address from the tree
    echo help | nc HOST PORT          with a monitor address from the tree
    kill -9 PID                       and export again: the node goes when
                                      the session times out

Ctrl-C stops everything.''', flush=True)


def wait_for_interrupt(
        processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Until Ctrl-C; tells of a server that ends, such as one killed to see.
    """
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for name, process in processes.items():
                if process.returncode is None and process.poll() is not None:
                    say(ending(name, process))
            time.sleep(0.5)


def check_gone(zk: zc.zk.ZooKeeper,
               processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Failed when a server that was stopped is still registered.

    The node of one that was killed goes with its session, later.
    """
    for name, process in processes.items():
        left = zk.get_children(f'/demo/{name}/providers')
        if left and process.returncode == 0:
            raise Failed(f'{name} has stopped and is still registered: '
                         + ', '.join(left))


def say(text: str) -> None:
    """A line to whoever watches."""
    print(f'demo: {text}', flush=True)
