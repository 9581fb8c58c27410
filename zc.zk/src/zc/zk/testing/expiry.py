"""End a client's session from the server's side.

A second connection takes the session over and closes it, as kazoo's own tests
do; here both requests go out together, so that the client has no time to take
its session back in between.
"""
import socket
import struct
import time

_CONNECT = struct.Struct('>iqiqi')
_ANSWER = struct.Struct('>iiqi')
_CLOSE = struct.pack('>ii', 1, -11)


def expire_session(address: tuple[str, int], session: int, password: bytes,
                   timeout: float = 10) -> None:
    """Return when the server knows the session no longer.

    Raise ``TimeoutError`` when it still does after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while _is_known(address, session, password):
        if time.monotonic() > deadline:
            raise TimeoutError(f'session 0x{session:x} on {address} did not'
                               f' end in {timeout:g} s')
        time.sleep(.01)


def _is_known(address: tuple[str, int], session: int,
              password: bytes) -> bool:
    """Ask to close the session; tell whether it was there."""
    connect = _CONNECT.pack(0, 0, 10000, session, len(password)) + password
    request = b''.join(struct.pack('>i', len(packet)) + packet
                       for packet in (connect + b'\0', _CLOSE))
    answer = b''
    try:
        with socket.create_connection(address, 2) as connection:
            connection.sendall(request)
            while chunk := connection.recv(1 << 12):
                answer += chunk
    except OSError:  # closed with our second request unread, or not there
        pass
    if len(answer) < 4 + _ANSWER.size:
        return True  # no answer: not known to be gone
    return _ANSWER.unpack_from(answer, 4)[2] != 0
