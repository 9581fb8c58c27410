"""List a process's registrations for its monitor server and for scripts.

`register` starts recording registrations, and adds the command ``servers`` to
zc.monitor where that is installed. `check` and `get_addr` are scripts that
send this command to the monitor server of a process.
"""
import json
import re
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any
from typing import NoReturn
from typing import Protocol

from zc.zk import event
from zc.zk.addresses import WILDCARDS
from zc.zk.addresses import parse_addr
from zc.zk.event import RegisteringServer
from zc.zk.printable import printable

#: The longest time for a server to accept a connection, or to answer.
ANSWER_TIMEOUT_S = 10.0

#: The longest answer that a script reads.
MAX_ANSWER_BYTES = 1 << 20

#: The properties of each registered server, by path and address.
registered: dict[tuple[str, str], dict[str, Any]] = {}


class Output(Protocol):
    """The connection to which a monitor command writes its answer."""

    def write(self, text: str) -> None:
        """Send text to the client of the monitor server."""


def register() -> None:
    """Record registrations from now on, and add the command ``servers``.

    Without zc.monitor, registrations are recorded, and no command is added.
    """
    if notify not in event.subscribers:
        event.subscribers.append(notify)
    try:
        import zc.monitor
    except ImportError:
        return
    zc.monitor.register(servers, 'servers')


def notify(registering: object) -> None:
    """Record the server of a RegisteringServer; ignore other events."""
    if isinstance(registering, RegisteringServer):
        name, path = registering.name, registering.path
        # The event's own dictionary: later subscribers may add to it.
        registered[path, name] = registering.properties


def servers(output: Output, path: str | None = None) -> None:
    """List the registered servers; given a path, the addresses there.

    The servers are a line of JSON, a list of objects with ``path``,
    ``address`` and the server's properties. The addresses are a line of
    words.
    """
    if path is None:
        output.write(json.dumps([
            {'path': path, **properties, 'address': name}
            for (path, name), properties in registered.items()]) + '\n')
    else:
        output.write(' '.join(
            name for where, name in registered if where == path) + '\n')


def check(args: Sequence[str] | None = None) -> None:
    """Exit with status 1 unless the servers at a path accept connections.

    This is a console script. Its arguments are the address of a monitor
    server and the path. Exits with status 2 for other arguments.
    """
    try:
        for address in _ask(args):
            _connect(address).close()
    except (OSError, ValueError) as error:
        _fail(error)


def get_addr(args: Sequence[str] | None = None) -> None:
    """Print the addresses that are registered at a path.

    This is a console script; see `check` for its arguments. Exits with
    status 1 if there is no address.
    """
    try:
        addresses = _ask(args)
    except (OSError, ValueError) as error:
        _fail(error)
    print(*map(printable, addresses))


def _ask(args: Sequence[str] | None) -> list[str]:
    args = sys.argv[1:] if args is None else args
    if len(args) != 2:
        print('give the address of a monitor server, HOST:PORT or the path '
              'of a unix socket, and the path of a node', file=sys.stderr)
        sys.exit(2)
    monitor, path = args
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    with _connect(monitor) as connection:
        connection.sendall(f'servers {path}\n'.encode())
        addresses = _line(connection, deadline).decode().split()
    if not addresses:
        raise ValueError(f'{monitor} has registered nothing at {path}')
    return addresses


def _line(connection: socket.socket, deadline: float) -> bytes:
    """Return the first line of an answer; TimeoutError at the deadline.

    What follows MAX_ANSWER_BYTES is not read.
    """
    answer = b''
    while b'\n' not in answer and len(answer) < MAX_ANSWER_BYTES:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    return answer.partition(b'\n')[0]


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
    print(printable(error), file=sys.stderr)
    sys.exit(1)
