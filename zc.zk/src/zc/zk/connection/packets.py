"""The packets that begin and end a session without a client.

They are those of ZooKeeper's jute protocol: ConnectRequest, ConnectResponse,
RequestHeader and ReplyHeader, each behind its length (ZooKeeper's source,
zookeeper.jute).
"""
import socket
import struct
import time

_LENGTH = struct.Struct('>i')

# ConnectRequest: protocol version, last zxid seen, time-out in milliseconds,
# session, and the length of the password, which follows.
_CONNECT = struct.Struct('>iqiqi')
_NEW_PASSWORD = bytes(16)

# ConnectResponse: protocol version, time-out, and the session, 0 when there
# is no such session or the password is wrong.
_CONNECTED = struct.Struct('>iiq')

# RequestHeader: xid and type.
_HEADER = struct.Struct('>ii')
_GET_CHILDREN, _SYNC, _GET_EPHEMERALS, _CLOSE_SESSION = 8, 9, 103, -11

# ReplyHeader: xid, zxid and error code.
_REPLY = struct.Struct('>iqi')

# An answer without names is far shorter; ZooKeeper's own limit for one with
# names is jute.maxbuffer, 1 MB by default.
_FRAME_LIMIT_BYTES = 1 << 16
_NAMES_LIMIT_BYTES = 1 << 24


def connect(timeout_ms: int, session: int = 0,
            password: bytes = _NEW_PASSWORD) -> bytes:
    """Return the first packet, which begins or continues a session.

    The session 0 is a new one.
    """
    return _frame(_CONNECT.pack(0, 0, timeout_ms, session, len(password))
                  + password + b'\0')


def sync(xid: int) -> bytes:
    """Return the packet that waits for all changes made before it."""
    return _frame(_HEADER.pack(xid, _SYNC) + _LENGTH.pack(1) + b'/')


def get_ephemerals(xid: int) -> bytes:
    """Return the packet that asks for the paths of the session's nodes.

    ZooKeeper answers it since 3.6.
    """
    return _frame(_HEADER.pack(xid, _GET_EPHEMERALS) + _string('/'))


def get_children(xid: int, path: str) -> bytes:
    """Return the packet that asks for the names of a node's children."""
    return _frame(_HEADER.pack(xid, _GET_CHILDREN) + _string(path) + b'\0')


def _string(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def close_session(xid: int) -> bytes:
    """Return the packet that ends the session of a connection."""
    return _frame(_HEADER.pack(xid, _CLOSE_SESSION))


def _frame(packet: bytes) -> bytes:
    return _LENGTH.pack(len(packet)) + packet


def receive_connected(connection: socket.socket, deadline: float) -> bool:
    """Receive the answer to `connect`; return whether there is a session.

    Raises OSError if there is no such answer before `deadline`, which is a
    time.monotonic().
    """
    answer = receive_frame(connection, deadline)
    if len(answer) < _CONNECTED.size:
        raise ConnectionError('the server hung up')
    return _CONNECTED.unpack_from(answer)[2] != 0


def receive_answer(connection: socket.socket, deadline: float) -> int | None:
    """Return the xid of the next answer; None if the server hangs up.

    Raises OSError if none comes before `deadline`, a time.monotonic().
    """
    answer = receive_frame(connection, deadline)
    if len(answer) < _LENGTH.size:
        return None
    return _LENGTH.unpack_from(answer)[0]


def receive_names(connection: socket.socket,
                  deadline: float) -> list[str] | None:
    """Return the names, or paths, in the next answer.

    None if the server refuses, or does not know the request. Raises OSError
    if there is no such answer before `deadline`, a time.monotonic().
    """
    answer = receive_frame(connection, deadline, _NAMES_LIMIT_BYTES)
    if not answer:
        raise ConnectionError('the server hung up')
    try:
        _, _, code = _REPLY.unpack_from(answer)
        if code:
            return None
        names, offset = [], _REPLY.size + _LENGTH.size
        for _ in range(*_LENGTH.unpack_from(answer, _REPLY.size)):
            begin = offset + _LENGTH.size
            offset = begin + _LENGTH.unpack_from(answer, offset)[0]
            if not begin <= offset <= len(answer):
                raise ValueError('a name of another length')
            names.append(answer[begin:offset].decode())
    except (struct.error, ValueError):
        raise ConnectionError('the answer is not that of a ZooKeeper'
                              ) from None
    return names


def receive_frame(connection: socket.socket, deadline: float,
                  limit_bytes: int = _FRAME_LIMIT_BYTES) -> bytes:
    """Return the next frame; b'' if the server closes the connection."""
    head = _receive(connection, _LENGTH.size, deadline)
    if len(head) < _LENGTH.size:
        return b''
    length, = _LENGTH.unpack(head)
    if not 0 <= length <= limit_bytes:
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
