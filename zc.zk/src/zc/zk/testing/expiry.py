"""End a client's session from the server's side.

A second connection resumes the session and closes it. Both requests are sent
together, so that the client has no time to resume the session in between.
"""
import socket
import struct

from zc.zk.testing.waiting import Deadline

_CONNECT = struct.Struct('>iqiqi')
_ANSWER = struct.Struct('>iiqi')
_CLOSE = struct.pack('>ii', 1, -11)


def expire_session(address: tuple[str, int], session: int, password: bytes,
                   timeout: float = 10) -> None:
    """End a session, and return when the server no longer knows it.

    Raise TimeoutError when it still knows it after `timeout` seconds.
    """
    deadline = Deadline(timeout)
    while _is_known(address, session, password):
        if deadline.has_passed():
            raise TimeoutError(f'session 0x{session:x} on {address} did not'
                               f' end in {timeout:g} s')
        deadline.sleep(.01)


def _is_known(address: tuple[str, int], session: int,
              password: bytes) -> bool:
    """Ask to close the session; return whether it may have existed."""
    connect = _CONNECT.pack(0, 0, 10000, session, len(password)) + password
    request = b''.join(struct.pack('>i', len(packet)) + packet
                       for packet in (connect + b'\0', _CLOSE))
    answer = b''
    try:
        with socket.create_connection(address, 2) as connection:
            connection.sendall(request)
            while chunk := connection.recv(1 << 12):
                answer += chunk
    except OSError:  # closed before it read the second request, or down
        pass
    if len(answer) < 4 + _ANSWER.size:
        return True  # no answer: the session may exist
    return _ANSWER.unpack_from(answer, 4)[2] != 0
