"""What several tests need."""
import socket
import threading
import time
from collections.abc import Callable

import zc.monitor


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until condition() is true, or fail.

    Seconds in which a machine that is too busy did not run this process do
    not count.
    """
    deadline, interval = time.monotonic() + seconds, 0.005
    while not condition():
        asleep = time.monotonic()
        assert asleep < deadline, 'waited in vain'
        time.sleep(interval)
        deadline += time.monotonic() - asleep - interval


class Release:
    """The command ``hang`` hangs until `set`; ``running`` counts it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.running = 0

    def hang(self, connection: zc.monitor.Connection) -> None:
        """Hang until released."""
        self.running += 1
        self._event.wait(30)
        connection.write('released\n')

    def set(self) -> None:
        """Let all of them go."""
        self._event.set()


class Client:
    """A raw connection to a listener."""

    def __init__(self, address: zc.monitor.Address) -> None:
        self.sock = socket.socket(
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.sock.settimeout(10)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise

    def send(self, data: bytes) -> 'Client':
        """Send bytes as they are."""
        self.sock.sendall(data)
        return self

    def half_close(self) -> 'Client':
        """Say that there is nothing more to come."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def read(self) -> str:
        """Return everything up to the end."""
        data = b''
        while piece := self.sock.recv(65536):
            data += piece
        return data.decode()

    def expect(self, text: str) -> None:
        """Read exactly that text."""
        data = b''
        while len(data) < len(text) and text.encode().startswith(data):
            piece = self.sock.recv(len(text) - len(data))
            if not piece:
                break
            data += piece
        assert data.decode() == text

    def reset(self) -> None:
        """Leave in the rudest way there is."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        self.sock.close()

    def __enter__(self) -> 'Client':
        return self

    def __exit__(self, *_error: object) -> None:
        self.sock.close()
