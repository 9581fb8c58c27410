"""A TLS proxy in front of a ZooKeeper server without TLS."""
import contextlib
import select
import socket
import ssl
import subprocess
import threading

import pytest


class Terminator:
    """Forward connections to `target`, a host and a port; a context manager.

    It requires the certificate from clients. It listens on `port` of
    localhost.
    """

    def __init__(self, target: tuple[str, int], cert: str, key: str) -> None:
        self.target = target
        self.context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=cert)
        self.context.load_cert_chain(cert, key)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> 'Terminator':
        self.server = socket.create_server(('127.0.0.1', 0))
        self.port = self.server.getsockname()[1]
        self.end, self.ended = socket.socketpair()
        self.begin(self.accept)
        return self

    def __exit__(self, *error: object) -> None:
        self.end.close()
        for thread in self.threads:
            thread.join()
        self.server.close()
        self.ended.close()

    def begin(self, function, *args) -> None:
        """Call a function in a thread."""
        self.threads.append(threading.Thread(target=function, args=args))
        self.threads[-1].start()

    def accept(self) -> None:
        """Accept connections until the proxy closes."""
        while self.ended not in select.select(
                [self.server, self.ended], [], [])[0]:
            self.begin(self.serve, self.server.accept()[0])

    def serve(self, plain: socket.socket) -> None:
        """Forward one connection."""
        with plain, contextlib.suppress(OSError):
            plain.settimeout(10)
            with (self.context.wrap_socket(plain, server_side=True) as front,
                  socket.create_connection(self.target) as back):
                self.forward(front, back)

    def forward(self, front: ssl.SSLSocket, back: socket.socket) -> None:
        """Forward both ways, until a side or the whole proxy closes."""
        while True:
            ready = [front] if front.pending() else select.select(
                [front, back, self.ended], [], [])[0]
            if self.ended in ready:
                return
            for side, other in ((front, back), (back, front)):
                if side in ready:
                    data = side.recv(1 << 16)
                    if not data:
                        return
                    other.sendall(data)


def make_certificate(folder, name='localhost') -> tuple[str, str]:
    """Create a self-signed certificate and its key; return their paths."""
    cert, key = folder / f'{name}.cert.pem', folder / f'{name}.key.pem'
    try:
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key,
             '-out', cert, '-days', '2', '-subj', f'/CN={name}',
             '-addext', f'subjectAltName=DNS:{name}'],
            check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip('no openssl to make a certificate with')
    return str(cert), str(key)
