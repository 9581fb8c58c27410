"""What a process has registered, for its monitor server and for scripts.

`register` has registrations recorded, and offers the command ``servers`` to
zc.monitor where that is installed. `check` and `get_addr` are scripts that
ask a process with such a monitor server.
"""
import json
import re
import socket
import sys
from collections.abc import Sequence
from typing import Any
from typing import NoReturn
from typing import Protocol

from zc.zk import event
from zc.zk.addresses import WILDCARDS
from zc.zk.addresses import parse_addr
from zc.zk.event import RegisteringServer

#: How long a server may take to connect or to answer.
ANSWER_TIMEOUT_S = 10.0

#: The longest answer that is read.
MAX_ANSWER = 1 << 20

_servers: dict[tuple[str, str], dict[str, Any]] = {}


class Output(Protocol):
    """Where a monitor command writes its answer."""

    def write(self, text: str) -> None:
        """Send text to whoever asked."""


def register() -> None:
    """Record registrations from now on, and offer the command ``servers``.

    The command is for zc.monitor, and left out without it.
    """
    if notify not in event.subscribers:
        event.subscribers.append(notify)
    try:
        import zc.monitor
    except ImportError:
        return
    zc.monitor.register(servers, 'servers')


def notify(registering: object) -> None:
    """Record a server; other events are none of our business."""
    if isinstance(registering, RegisteringServer):
        name, path = registering.name, registering.path
        # The event's own dictionary: later subscribers may add to it.
        _servers[path, name] = registering.properties


def servers(output: Output, path: str | None = None) -> None:
    """List the registered servers; given a path, the addresses there.

    Servers are a JSON list of objects with ``path``, ``address`` and the
    servers' properties; addresses are separated by spaces.
    """
    if path is None:
        output.write(json.dumps([
            {'path': path, **properties, 'address': name}
            for (path, name), properties in _servers.items()]) + '\n')
    else:
        output.write(' '.join(
            name for where, name in _servers if where == path) + '\n')


def check(args: Sequence[str] | None = None) -> None:
    """Script: exit with 1 unless the servers at a path accept connections.

    The arguments are the address of a monitor server and the path.
    """
    try:
        for address in _ask(args):
            _connect(address).close()
    except (OSError, ValueError) as error:
        _fail(error)


def get_addr(args: Sequence[str] | None = None) -> None:
    """Script: print the addresses that are registered at a path.

    The arguments are the address of a monitor server and the path.
    """
    try:
        addresses = _ask(args)
    except (OSError, ValueError) as error:
        _fail(error)
    print(*addresses)


def _ask(args: Sequence[str] | None) -> list[str]:
    args = sys.argv[1:] if args is None else args
    if len(args) != 2:
        print('give the address of a monitor server, HOST:PORT or the path '
              'of a unix socket, and the path of a node', file=sys.stderr)
        sys.exit(2)
    monitor, path = args
    with _connect(monitor) as connection:
        connection.sendall(f'servers {path}\n'.encode())
        with connection.makefile(encoding='utf-8') as answer:
            addresses = answer.readline(MAX_ANSWER).split()
    if not addresses:
        raise ValueError(f'{monitor} has registered nothing at {path}')
    return addresses


def _connect(address: str) -> socket.socket:
    try:
        if re.search(r':\d+$', address):
            host, port = parse_addr(address)
            if host in WILDCARDS:
                host = 'localhost'
            return socket.create_connection((host, port), ANSWER_TIMEOUT_S)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection
    except OSError as error:
        raise OSError(f'{address}: {error.strerror or error}') from None


def _fail(error: Exception) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(1)
