"""End the session of a process that has died, in two packets.

The ephemeral nodes of a killed process stay until its session times out. A
process that knows the session's id and password can end it at once: it
connects as that session, and closes it (ConnectRequest and closeSession of
ZooKeeper's jute protocol). No client is started, so that this takes one round
trip to a server.

In the same way it can ask before what would be left without that session.

The password is a bearer secret: with the id it is all that one needs to act
as the session. It is in no message of this module.
"""
import random
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from typing import NamedTuple
from typing import TypeVar

from kazoo.hosts import collect_hosts
from zc.zk.connection import packets
from zc.zk.connection.client import check_connection_string
from zc.zk.errors import FailedConnect
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.registration.marks import PREFIX as MARK_PREFIX

if TYPE_CHECKING:
    import ssl

#: The longest time for one server, in seconds; shorter with several servers.
SERVER_TIMEOUT_S = 2.0

#: The pause after all servers have failed, in seconds.
PAUSE_S = 0.05

# Of a session that is ended at once, and of one that is only looked at: who
# looks may not come again.
_SESSION_TIMEOUT_MS = 10_000
_LOOK_TIMEOUT_MS = 4_000
_CLOSE_XID = 1

#: Shakes hands for TLS; takes a socket and the server's name.
_Wrap = Callable[[socket.socket, str], socket.socket]

#: What is made of a connection, before a time.monotonic().
_Found = TypeVar('_Found')
_Talk = Callable[[socket.socket, float], _Found]


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
    servers, wrap = _servers(connection_string, ca, cert, key)
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
                is_known, is_closed = _ask(server, each_s, wrap, partial(
                    _close, request))
            except OSError as error:
                failures.append(_failure(server, error))
                continue
            if is_closed or not is_known:
                # One that was known before was closed, without an answer.
                return is_closed or was_known
            was_known = True
            failures.append(_failure(server, 'no answer'))
        if time.monotonic() >= deadline:
            raise FailedConnect(f'session 0x{session & (1 << 64) - 1:x} is not'
                                ' ended; no ZooKeeper answered at '
                                + ', '.join(failures))
        time.sleep(PAUSE_S)


class SessionNodes(NamedTuple):
    """The paths of a session's ephemeral nodes, and of all beside them.

    `own` are those of the session, without marks (see
    `zc.zk.registration.marks`). `beside` are all children of their parents,
    `own` included. They are as the server knows them, with any chroot. Both
    are empty if there is no such session any more.
    """

    own: frozenset[str]
    beside: frozenset[str]


def session_nodes(connection_string: str, session: int, password: bytes, *,
                  timeout: float = 1.0, ca: str | None = None,
                  cert: str | None = None,
                  key: str | None = None) -> SessionNodes | None:
    """Return the nodes of a session of a process that has died.

    The session lives on for 4 seconds, or what else the server allows. The
    arguments are those of `end_session`, and so are the errors; each server is
    asked once.

    Returns None if it cannot be known: the server is older than 3.6, or does
    not let the session read the parents.
    """
    servers, wrap = _servers(connection_string, ca, cert, key)
    talk = partial(_find_nodes,
                   packets.connect(_LOOK_TIMEOUT_MS, session, password))
    failures = []
    for server in servers:
        try:
            return _ask(server, timeout / len(servers), wrap, talk)
        except OSError as error:
            failures.append(_failure(server, error))
    raise FailedConnect('no ZooKeeper answered at ' + ', '.join(failures))


def _find_nodes(request: bytes, connection: socket.socket,
                deadline: float) -> SessionNodes | None:
    connection.sendall(request)
    if not packets.receive_connected(connection, deadline):
        return SessionNodes(frozenset(), frozenset())
    connection.sendall(packets.get_ephemerals(1))
    paths = packets.receive_names(connection, deadline)
    if paths is None:
        return None
    own = frozenset(path for path in paths
                    if not split(path)[1].startswith(MARK_PREFIX))
    beside: set[str] = set()
    for parent in {split(path)[0] for path in own}:
        connection.sendall(packets.get_children(2, parent))
        names = packets.receive_names(connection, deadline)
        if names is None:
            return None
        beside.update(join(parent, name) for name in names)
    return SessionNodes(own, frozenset(beside))


def _failure(server: tuple[str, int], why: OSError | str) -> str:
    return (f'{server[0]}:{server[1]}'
            f' ({getattr(why, "strerror", None) or why})')


def _servers(connection_string: str, ca: str | None, cert: str | None,
             key: str | None) -> tuple[list[tuple[str, int]], _Wrap | None]:
    """Return host and port of the servers, in any order, and for TLS."""
    check_connection_string(connection_string)
    servers = list(collect_hosts(connection_string)[0])
    random.shuffle(servers)
    if not (ca or cert or key):
        return servers, None
    from zc.zk.connection import tls
    return servers, partial(_wrap, tls.make_context(ca, cert, key))


def _wrap(context: 'ssl.SSLContext', connection: socket.socket,
          host: str) -> socket.socket:
    return context.wrap_socket(connection, server_hostname=host)


def _ask(server: tuple[str, int], timeout: float, wrap: _Wrap | None,
         talk: _Talk[_Found]) -> _Found:
    """Connect to a server, and return what `talk` returns.

    Raises OSError if it cannot be reached, or does not answer.
    """
    deadline = time.monotonic() + timeout
    connection = socket.create_connection(server, timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap is not None:
            connection = wrap(connection, server[0])
        return talk(connection, deadline)
    finally:
        connection.close()


def _close(request: bytes, connection: socket.socket,
           deadline: float) -> tuple[bool, bool]:
    """Return whether the server knows the session, and has closed it."""
    connection.sendall(request)
    is_known = packets.receive_connected(connection, deadline)
    try:
        is_closed = is_known and packets.receive_answer(
            connection, deadline) == _CLOSE_XID
    except OSError:
        is_closed = False
    return is_known, is_closed
