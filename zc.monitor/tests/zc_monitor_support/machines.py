"""Another machine: a network namespace behind a pair of interfaces."""
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator

import pytest

# The addresses of this machine and of the other one, in a network of the range
# for tests (RFC 2544) that no other process of the tests uses.
_NUMBER = os.getpid() % 0x4000
_NETWORK = f'198.18.{_NUMBER >> 6}.'
HERE, THERE = (f'{_NETWORK}{(_NUMBER & 63) * 4 + end}' for end in (1, 2))

# Sends a line each to an address: HOST PORT LINE...; prints the answers.
ASK = """\
import socket, sys
for line in sys.argv[3:]:
    with socket.create_connection((sys.argv[1], sys.argv[2]), 30) as sock:
        sock.sendall(line.encode() + b'\\n')
        print(sock.makefile().read(), end='')
"""


@contextlib.contextmanager
def other_machine() -> Iterator[Callable[..., str]]:
    """Yield a function that runs Python on another machine.

    It takes Python's arguments and returns what was written to stdout. The
    test is skipped where namespaces cannot be made.
    """
    if sys.platform != 'linux' or os.geteuid():
        pytest.skip('only root of Linux makes network namespaces')
    name = f'm{os.getpid()}'
    ip = ['ip', '-n', name]
    try:
        made = subprocess.run(['ip', 'netns', 'add', name],
                              capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip('there is no ip of iproute2')
    if made.returncode:
        pytest.skip(f'no network namespaces: {made.stderr}')
    try:
        for command in (
                ['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name',
                 'eth0', 'netns', name],
                ['ip', 'address', 'add', f'{HERE}/30', 'dev', name],
                ['ip', 'link', 'set', name, 'up'],
                [*ip, 'address', 'add', f'{THERE}/30', 'dev', 'eth0'],
                [*ip, 'link', 'set', 'eth0', 'up']):
            subprocess.run(command, check=True)

        def run(*arguments: str) -> str:
            return subprocess.run(
                ['ip', 'netns', 'exec', name, sys.executable, *arguments],
                check=True, timeout=60, stdout=subprocess.PIPE,
                text=True).stdout

        yield run
    finally:
        # With its namespace alone, the pair would go a while later, and the
        # next machine has the same name and addresses.
        subprocess.run(['ip', 'link', 'delete', name], check=False,
                       stderr=subprocess.DEVNULL)
        subprocess.run(['ip', 'netns', 'delete', name], check=True)


def ask_from(machine: Callable[..., str], port: int, *lines: str) -> str:
    """Send lines, in a connection each, to a port here; return answers."""
    return machine('-c', ASK, HERE, str(port), *lines)
