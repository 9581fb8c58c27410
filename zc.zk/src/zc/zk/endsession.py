"""End the session of a process that has died, in two packets.

The ephemeral nodes of a killed process stay until its session times out. A
process that knows the session's id and password can end it at once: it
connects as that session, and closes it (ConnectRequest and closeSession of
ZooKeeper's jute protocol). No client is started, so that this takes one round
trip to a server.

The password is a bearer secret: with the id it is all that one needs to act
as the session. It is in no message of this module.
"""
import random
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kazoo.hosts import collect_hosts
from zc.zk.connection import packets
from zc.zk.connection.client import check_connection_string
from zc.zk.errors import FailedConnect

if TYPE_CHECKING:
    import ssl

#: The longest time for one server, in seconds; shorter with several servers.
SERVER_TIMEOUT_S = 2.0

#: The pause after all servers have failed, in seconds.
PAUSE_S = 0.05

_SESSION_TIMEOUT_MS = 10_000
_CLOSE_XID = 1

#: Shakes hands for TLS; takes a socket and the server's name.
_Wrap = Callable[[socket.socket, str], socket.socket]


def end_session(connection_string: str, session: int, password: bytes, *,
                timeout: float = 5.0, ca: str | None = None,
                cert: str | None = None, key: str | None = None) -> bool:
    """End a session, and with it its ephemeral nodes.

    `session` and `password` are the two parts of `KazooClient.client_id`.
    End only the session of a process that has died or hangs: a live client
    loses its nodes, and starts a new session.

    `timeout` is in seconds, for all servers together. `ca`, `cert` and `key`
    are names of PEM files; each of them turns TLS on.

    Returns True if the session has ended, and False if there is no such
    session any more, or its password is another one. Raises FailedConnect if
    no server has answered in time: the session may live. Raises ValueError
    for arguments that cannot be used.
    """
    check_connection_string(connection_string)
    servers = list(collect_hosts(connection_string)[0])
    wrap = _make_wrap(ca, cert, key)
    request = packets.connect(_SESSION_TIMEOUT_MS, session, password)
    request += packets.close_session(_CLOSE_XID)
    each_s = min(SERVER_TIMEOUT_S, timeout / len(servers))
    deadline = time.monotonic() + timeout
    was_known = False
    while True:
        failures = []
        random.shuffle(servers)
        for server in servers:
            try:
                is_known, is_closed = _ask(server, request, each_s, wrap)
            except OSError as error:
                failures.append(f'{server[0]}:{server[1]}'
                                f' ({error.strerror or error})')
                continue
            if is_closed or not is_known:
                # One that was known before was closed, without an answer.
                return is_closed or was_known
            was_known = True
            failures.append(f'{server[0]}:{server[1]} (no answer)')
        if time.monotonic() >= deadline:
            raise FailedConnect(f'session 0x{session & (1 << 64) - 1:x} is not'
                                ' ended; no ZooKeeper answered at '
                                + ', '.join(failures))
        time.sleep(PAUSE_S)


def _make_wrap(ca: str | None, cert: str | None,
               key: str | None) -> _Wrap | None:
    if not (ca or cert or key):
        return None
    from zc.zk.connection import tls
    return partial(_wrap, tls.make_context(ca, cert, key))


def _wrap(context: 'ssl.SSLContext', connection: socket.socket,
          host: str) -> socket.socket:
    return context.wrap_socket(connection, server_hostname=host)


def _ask(server: tuple[str, int], request: bytes, timeout: float,
         wrap: _Wrap | None) -> tuple[bool, bool]:
    """Return whether the server knows the session, and has closed it.

    Raises OSError if it cannot be reached, or does not answer.
    """
    deadline = time.monotonic() + timeout
    connection = socket.create_connection(server, timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap is not None:
            connection = wrap(connection, server[0])
        connection.sendall(request)
        is_known = packets.receive_connected(connection, deadline)
        try:
            is_closed = is_known and packets.receive_answer(
                connection, deadline) == _CLOSE_XID
        except OSError:
            is_closed = False
        return is_known, is_closed
    finally:
        connection.close()
