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
_SYNC, _CLOSE_SESSION = 9, -11

# An answer is far shorter.
_FRAME_LIMIT_BYTES = 1 << 16


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


def receive_frame(connection: socket.socket, deadline: float) -> bytes:
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
