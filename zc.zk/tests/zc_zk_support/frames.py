"""A proxy that reads requests and answers, and may answer itself."""
import socket
import socketserver
import struct
import threading
from collections.abc import Callable

UNIMPLEMENTED = -6
MARSHALLING = -5


class Frames:
    """Forward the frames of ZooKeeper's protocol; a context manager.

    `refused`
        The types of requests to refuse: answer with Unimplemented and close
        the connection, as ZooKeeper does for unknown types.
    `most`
        The longest answer, in bytes. Instead of a longer answer, close the
        connection.
    `longest`
        The longest request, in bytes. Answer a longer one with
        MarshallingError.
    `on_request`
        A function that is called with the type of each request before it is
        forwarded. It may raise ConnectionError to close the connection, or
        return the code of an error to answer with.
    `seen`
        The types of the requests so far.
    """

    def __init__(self, target: str, refused: tuple[int, ...] = (),
                 most: int = 2 ** 30, longest: int = 2 ** 30,
                 on_request: Callable[[int], int | None] = lambda type_: None
                 ) -> None:
        hosts, slash, chroot = target.partition('/')
        host, _, port = hosts.rpartition(':')
        self.target = host, int(port)
        self.chroot = slash + chroot
        self.refused = refused
        self.most = most
        self.longest = longest
        self.on_request = on_request
        self.seen: list[int] = []
        self.open: set[socket.socket] = set()

    def __enter__(self) -> 'Frames':
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            block_on_close = True

        self.server = Server(('127.0.0.1', 0), Handler)
        self.connection_string = (
            f'127.0.0.1:{self.server.server_address[1]}{self.chroot}')
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(.01,))
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        for end in list(self.open):
            _shut(end)
        self.thread.join()
        self.server.server_close()

    def serve(self, client: socket.socket) -> None:
        """Forward one connection until one of its ends closes."""
        with socket.create_connection(self.target) as server:
            self.open |= {client, server}
            answers = threading.Thread(
                target=self.forward, args=(server, client, self.answer))
            answers.start()
            self.forward(client, server, self.request)
            answers.join()
            self.open -= {client, server}

    def forward(self, source: socket.socket, sink: socket.socket,
                check: Callable) -> None:
        """Send on the frames that `check` does not handle."""
        is_first = True
        try:
            while True:
                frame = _read(source)
                if not is_first and check(frame, source):
                    continue
                is_first = False
                sink.sendall(struct.pack('!i', len(frame)) + frame)
        except OSError:
            pass
        finally:
            _shut(source)
            _shut(sink)

    def request(self, frame: bytes, client: socket.socket) -> bool:
        """Read a request; answer it if it is not to be sent on."""
        xid, type_ = struct.unpack_from('!ii', frame)
        if type_ != 11:  # a ping
            self.seen.append(type_)
        code = self.on_request(type_)
        if type_ in self.refused:
            client.sendall(struct.pack(
                '!iiqi', 16, xid, 0, UNIMPLEMENTED))
            raise ConnectionError('unimplemented')
        if len(frame) > self.longest:
            code = MARSHALLING
        if code:
            client.sendall(struct.pack('!iiqi', 16, xid, 0, code))
        return bool(code)

    def answer(self, frame: bytes, server: socket.socket) -> None:
        """Read an answer."""
        if len(frame) > self.most:
            raise ConnectionError('the answer is too long')


def _read(source: socket.socket) -> bytes:
    size, = struct.unpack('!i', _read_bytes(source, 4))
    return _read_bytes(source, size)


def _read_bytes(source: socket.socket, size: int) -> bytes:
    chunks = []
    while size:
        chunk = source.recv(min(size, 2 ** 16))
        if not chunk:
            raise ConnectionError('closed')
        chunks.append(chunk)
        size -= len(chunk)
    return b''.join(chunks)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
