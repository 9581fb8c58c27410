"""Send ZooKeeper's protocol over a socket, as kazoo cannot send all of it."""
import itertools
import socket
import struct
from typing import NamedTuple

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = 1, 2, 3, 4, 5
GET_ACL, SET_ACL, GET_CHILDREN, SYNC, PING = 6, 7, 8, 9, 11
GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES = 17, 18
CREATE_CONTAINER, CREATE_TTL, MULTI_READ = 19, 21, 22
AUTH, SET_WATCHES, GET_EPHEMERALS = 100, 101, 103
COUNT_DESCENDANTS, SET_WATCHES2, ADD_WATCH, WHO_AM_I = 104, 105, 106, 107
CLOSE = -11

OPEN = ((31, 'world', 'anyone'),)
STAT = struct.Struct('>qqqqiiiqiiq')
HEADER = struct.Struct('>iqi')
EPHEMERAL, SEQUENTIAL = 1, 2


class Reply(NamedTuple):
    """The answer to a request."""

    xid: int
    zxid: int
    code: int
    body: bytes


class Event(NamedTuple):
    """A watch event."""

    type: int
    path: str


#: The default session timeout that is asked for, in milliseconds: longer than
#: any test on a slow machine. A server may allow less.
SESSION = 60_000


class Wire:
    """A connection, which gets a session by `start`."""

    def __init__(self, hosts: str, timeout: float = 10) -> None:
        host, _, port = hosts.rpartition(':')
        self.socket = socket.create_connection(
            (host.strip('[]'), int(port)), timeout)
        self._xids = itertools.count(1)
        self.events: list[Event] = []

    def __enter__(self) -> 'Wire':
        return self

    def __exit__(self, *exc_info) -> None:
        self.socket.close()

    def start(
        self, session: int = 0, password: bytes = bytes(16),
        timeout: int = SESSION, seen: int = 0, tail: bytes = b'\0',
    ) -> 'Wire':
        """Ask for a session; set `timeout`, to 0 when it is refused."""
        self.hello(session, password, timeout, seen, tail)
        return self.welcome()

    def hello(
        self, session: int = 0, password: bytes = bytes(16),
        timeout: int = SESSION, seen: int = 0, tail: bytes = b'\0',
    ) -> None:
        """Send the request of `start`."""
        self.send(struct.pack('>iqiq', 0, seen, timeout, session)
                  + buffer(password) + tail)

    def welcome(self) -> 'Wire':
        """Receive the answer of `start`."""
        answer = self.receive()
        self.timeout, self.session = struct.unpack_from('>iq', answer, 4)
        self.password = answer[20:36]
        self.rest = answer[36:]
        return self

    def request(self, op: int, body: bytes = b'', xid: int = 0) -> Reply:
        """Send a request and return its reply; keep the events before it."""
        self.put(op, body, xid)
        return self.reply()

    def put(self, op: int, body: bytes = b'', xid: int = 0) -> None:
        """Send a request without waiting."""
        self.send(struct.pack('>ii', xid or next(self._xids), op) + body)

    def reply(self) -> Reply:
        """Return the next reply; keep the events before it."""
        while True:
            frame = self.receive()
            reply = Reply(*HEADER.unpack_from(frame), frame[HEADER.size:])
            if reply.xid != -1:
                return reply
            self.events.append(_event(reply))

    def event(self) -> Event:
        """Return the next event."""
        if not self.events:
            frame = self.receive()
            assert HEADER.unpack_from(frame)[0] == -1, frame
            return _event(Reply(-1, -1, 0, frame[HEADER.size:]))
        return self.events.pop(0)

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self.socket.sendall(buffer(frame))

    def receive(self) -> bytes:
        """Return the next frame; raise ConnectionError at the end."""
        size, = struct.unpack('>i', self._take(4))
        return self._take(size)

    def is_closed(self) -> bool:
        """Return whether the server closes and sends nothing more."""
        try:
            return self.socket.recv(1) == b''
        except ConnectionResetError:
            return True

    def _take(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError('closed')
            data += chunk
        return bytes(data)


def buffer(data: bytes | None) -> bytes:
    """Return counted bytes."""
    if data is None:
        return struct.pack('>i', -1)
    return struct.pack('>i', len(data)) + data


def text(value: str) -> bytes:
    """Return a counted string."""
    return buffer(value.encode())


def texts(*values: str) -> bytes:
    """Return a vector of strings."""
    return struct.pack('>i', len(values)) + b''.join(map(text, values))


def access(acl) -> bytes:
    """Return an access control list."""
    return struct.pack('>i', len(acl)) + b''.join(
        struct.pack('>i', permissions) + text(scheme) + text(name)
        for permissions, scheme, name in acl)


def creation(
    path: str, data: bytes | None = b'', acl=OPEN, flags: int = 0,
) -> bytes:
    """Return the body of a create or create2."""
    return text(path) + buffer(data) + access(acl) + struct.pack('>i', flags)


def versioned(path: str, version: int = -1) -> bytes:
    """Return the body of a delete or check."""
    return text(path) + struct.pack('>i', version)


def setting(path: str, data: bytes | None, version: int = -1) -> bytes:
    """Return the body of a setData."""
    return text(path) + buffer(data) + struct.pack('>i', version)


def watched(path: str, watch: bool = False) -> bytes:
    """Return the body of a read with its watch flag."""
    return text(path) + bytes([watch])


def parts(*operations: tuple[int, bytes]) -> bytes:
    """Return the body of a multi or a multiRead."""
    return b''.join(
        struct.pack('>i?i', op, False, -1) + body
        for op, body in operations) + struct.pack('>i?i', -1, True, -1)


def _event(reply: Reply) -> Event:
    kind, state, size = struct.unpack_from('>iii', reply.body)
    assert (state, reply.code) == (3, 0)
    return Event(kind, reply.body[12:12 + size].decode())
