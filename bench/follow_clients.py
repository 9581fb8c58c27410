"""Clients of bench/follow.py: send requests to a proxy, and count.

Usage: follow_clients.py PORT keep|close RATE

GET and POST by turns, each sent once, `RATE` a second. Before a request a
client looks whether its connection was closed, as urllib3 does. Requests and
answers are plain bytes on sockets, as what is measured is to be the proxy and
not its clients.

Each line of standard input is answered with the number of requests so far.
When standard input ends, writes a JSON object: the number of requests, the
failures with their times, and for each port that has answered the times of its
first answer, of the last request that it answered, and the steps (of STEP_S
seconds) in which it answered.
"""
import json
import select
import socket
import sys
import threading
import time

CLIENTS = 8
STEP_S = .25
TIMEOUT_S = 15.

HEAD = b'Host: cms\r\nConnection: %b\r\n'
GET = b'GET / HTTP/1.1\r\n%b\r\n'
POST = b'POST / HTTP/1.1\r\n%bContent-Length: 500\r\n\r\n' + b'x' * 500


class Failed(Exception):
    """A request that was answered by nothing, or by something else."""


class Client:
    """Sends one request after the other; keeps its connection, or not."""

    def __init__(self, port: int, mode: str) -> None:
        self._port = port
        self._keeps = mode == 'keep'
        head = HEAD % (b'keep-alive' if self._keeps else b'close')
        self._texts = GET % head, POST % head
        self._socket: socket.socket | None = None
        self.count = 0

    def ask(self) -> str:
        """Send a request; return the text of its answer, or raise Failed."""
        self.count += 1
        try:
            if self._socket is not None and _is_closed(self._socket):
                self._close()
            if self._socket is None:
                self._socket = socket.create_connection(
                    ('127.0.0.1', self._port), TIMEOUT_S)
                self._socket.setsockopt(socket.IPPROTO_TCP,
                                        socket.TCP_NODELAY, 1)
            self._socket.sendall(self._texts[self.count % 2])
            text, is_last = self._read(self._socket)
        except Failed:
            self._close()
            raise
        except OSError as error:
            self._close()
            raise Failed(repr(error)) from None
        if is_last or not self._keeps:
            self._close()
        return text

    def _read(self, sock: socket.socket) -> tuple[str, bool]:
        data = b''
        while b'\r\n\r\n' not in data:
            data += _receive(sock, data)
        head, _, body = data.partition(b'\r\n\r\n')
        status, *lines = head.split(b'\r\n')
        fields = {name.lower(): value.strip() for name, _, value in (
            line.partition(b':') for line in lines)}
        if b' 200 ' not in status + b' ':
            raise Failed(status.decode('latin-1'))
        if b'content-length' not in fields:
            raise Failed('an answer without a length')
        while len(body) < int(fields[b'content-length']):
            body += _receive(sock, body)
        return body.decode(), fields.get(b'connection') == b'close'

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _is_closed(sock: socket.socket) -> bool:
    # Nothing else can be there to be read before a request.
    return bool(select.select([sock], [], [], 0)[0])


def _receive(sock: socket.socket, before: bytes) -> bytes:
    data = sock.recv(2 ** 16)
    if not data:
        raise Failed(f'the connection ended after {len(before)} bytes')
    return data


class Counts:
    """What all clients have seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = 0
        self.failures: list[tuple[float, str]] = []
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.steps: dict[str, set[int]] = {}

    def note(self, port: str, sent: float, answered: float) -> None:
        """Note an answer."""
        with self._lock:
            self.total += 1
            self.first.setdefault(port, answered)
            self.last[port] = max(sent, self.last.get(port, 0))
            self.steps.setdefault(port, set()).add(int(answered / STEP_S))

    def note_failure(self, when: float, text: str) -> None:
        """Note a request that failed."""
        with self._lock:
            self.total += 1
            self.failures.append((when, text))


def main() -> None:
    """Send until standard input ends."""
    port, mode, rate = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    interval = CLIENTS / rate
    stopping = threading.Event()
    counts = Counts()

    def send(number: int) -> None:
        client = Client(port, mode)
        due = time.monotonic() + interval * number / CLIENTS
        while not stopping.is_set():
            time.sleep(max(0, due - time.monotonic()))
            # No burst makes up for a time in which a request took long.
            due = max(due + interval, time.monotonic() - interval)
            began = time.time()
            try:
                text = client.ask()
            except Failed as error:
                counts.note_failure(time.time(), str(error))
            else:
                counts.note(text, began, time.time())

    threads = [threading.Thread(target=send, args=(number,))
               for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    print('sending', flush=True)
    for _ in sys.stdin:
        print(counts.total, flush=True)
    stopping.set()
    for thread in threads:
        thread.join()
    json.dump({
        'total': counts.total, 'failures': counts.failures,
        'first': counts.first, 'last': counts.last,
        'steps': {port: sorted(found)
                  for port, found in counts.steps.items()}}, sys.stdout)


if __name__ == '__main__':
    main()
