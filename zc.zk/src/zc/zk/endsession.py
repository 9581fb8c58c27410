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
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kazoo.hosts import collect_hosts
from zc.zk.connection.client import check_connection_string
from zc.zk.errors import FailedConnect

if TYPE_CHECKING:
    import ssl

#: The longest time for one server, in seconds; shorter with several servers.
SERVER_TIMEOUT_S = 2.0

#: The pause after all servers have failed, in seconds.
PAUSE_S = 0.05

_LENGTH = struct.Struct('>i')

# ConnectRequest: protocol version, last zxid seen, time-out in milliseconds,
# session, and the length of the password, which follows.
_CONNECT = struct.Struct('>iqiqi')
_SESSION_TIMEOUT_MS = 10_000

# ConnectResponse: protocol version, time-out, and the session, 0 when there
# is no such session or the password is wrong.
_CONNECTED = struct.Struct('>iiq')

# RequestHeader: xid, and the type closeSession.
_CLOSE = struct.pack('>ii', 1, -11)

# An answer is far shorter.
_FRAME_LIMIT_BYTES = 1 << 16

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
    request = _frame(_CONNECT.pack(0, 0, _SESSION_TIMEOUT_MS, session,
                                   len(password)) + password + b'\0')
    request += _frame(_CLOSE)
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


def _frame(packet: bytes) -> bytes:
    return _LENGTH.pack(len(packet)) + packet


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
        answer = _receive_frame(connection, deadline)
        if len(answer) < _CONNECTED.size:
            raise ConnectionError('the server hung up')
        is_known = _CONNECTED.unpack_from(answer)[2] != 0
        try:
            # ReplyHeader: xid, zxid and the error.
            is_closed = is_known and _receive_frame(
                connection, deadline)[:4] == _CLOSE[:4]
        except OSError:
            is_closed = False
        return is_known, is_closed
    finally:
        connection.close()


def _receive_frame(connection: socket.socket, deadline: float) -> bytes:
    """Return the next frame; b'' if the server closes the connection."""
    head = _receive(connection, _LENGTH.size, deadline)
    if len(head) < _LENGTH.size:
        return b''
    length, = _LENGTH.unpack(head)
    if not 0 <= length <= _FRAME_LIMIT_BYTES:
        raise ConnectionError('the answer is not that of a ZooKeeper')
    return _receive(connection, length, deadline)


def _receive(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = b''
    while len(data) < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    return data
