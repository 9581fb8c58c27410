"""Peers: who a client is, by what the system says of its socket."""
import socket
import struct
import sys
from dataclasses import dataclass

# struct ucred of unix(7): pid, uid and gid.
_UCRED = struct.Struct('3i')


@dataclass(frozen=True)
class Peer:
    """A client: `name` is for messages; `is_local`: it is on this machine."""

    name: str
    is_local: bool

    def __str__(self) -> str:
        return self.name


#: A client whose connection has ended already, and any that nobody knows.
UNKNOWN = Peer('an unknown client', False)


def identify(sock: socket.socket) -> Peer:
    """Return the client of a connected socket; `UNKNOWN` once it has gone."""
    try:
        if sock.family == socket.AF_UNIX:
            return Peer(_user(sock), True)
        host, port = sock.getpeername()[:2]
        own = sock.getsockname()[0]
    except OSError:
        return UNKNOWN
    name = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    return Peer(name, _is_loopback(host) or host == own)


def _is_loopback(host: str) -> bool:
    return host.startswith('127.') or host == '::1'


def _user(sock: socket.socket) -> str:
    """Return who has connected to a unix socket (SO_PEERCRED, unix(7))."""
    if not sys.platform.startswith('linux'):
        return 'a unix socket'
    pid, uid, _gid = _UCRED.unpack(sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return f'pid {pid} of uid {uid}'
