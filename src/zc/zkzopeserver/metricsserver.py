"""The listener that serves metrics.

It has a thread of its own, so that it answers when all threads of the
application are busy, and a port of its own, so that each worker is a target
and nothing is public that is meant for operators.  From its wake-up to the
answer that thread keeps Python's lock (`zc.zkzopeserver.lockedcalls`), so that
it waits for threads that compute once, and not at each call of the system.
"""
from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable

from zope.server import ServerError
from zope.server.server import listen

from zc.zkzopeserver import lockedcalls
from zc.zkzopeserver.errors import ListenError

logger = logging.getLogger('zc.zkzopeserver.metrics')

# The time that a client has for its request and for reading the answer.
TIMEOUT_S = 5.0
# A further client takes the place of the one that has been here longest.
MAX_CLIENTS = 4
# The largest head of a request.
HEAD_BYTES = 8192
# Without descriptors no client is accepted for this time.
PAUSE_S = 0.25
CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'


class MetricsServer:
    """Answers GET /metrics, listening when constructed.

    `text` is called for each answer, in the listener's thread.  `address` is
    (host, true port).  Raise ListenError if it cannot listen.
    """

    def __init__(self, address: tuple[str, int],
                 text: Callable[[], str]) -> None:
        try:
            self._sock = listen(*address, MAX_CLIENTS)
        except ServerError as error:
            raise ListenError(f"option 'metrics': {error}") from None
        self.address = address[0], self._sock.getsockname()[1]
        self._text = text
        self._clients: list[Client] = []
        self._is_closing = False
        self._waker, self._wakes = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._thread = threading.Thread(
            target=self._run, name='zc.zkzopeserver.metrics', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._wakes.send(b'.')
        # Not for ever: the application's own metrics may hang.
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._is_closing:
                try:
                    self._turn()
                except Exception:
                    logger.exception('the metrics are served on: this must'
                                     ' not happen')
                    time.sleep(PAUSE_S)
        finally:
            for client in list(self._clients):
                self._drop(client)
            self._selector.close()
            for sock in self._sock, self._waker, self._wakes:
                sock.close()

    def _turn(self) -> None:
        wait = min((client.ends_at for client in self._clients),
                   default=None)
        if wait is not None:
            wait = max(0.0, wait - time.monotonic())
        found = self._selector.select(wait)
        for key, _ in found:
            if key.data is not None:
                self._serve(key.data)
            elif key.fileobj is self._sock:
                self._accept()
        now = time.monotonic()
        for client in [each for each in self._clients if each.ends_at <= now]:
            self._drop(client)

    def _accept(self) -> None:
        try:
            sock = lockedcalls.accept(self._sock)
        except BlockingIOError:
            return
        except OSError:
            # The client is gone, or there is no descriptor, accept(2).
            time.sleep(PAUSE_S)
            return
        if len(self._clients) == MAX_CLIENTS:
            self._drop(self._clients[0])
        client = Client(sock, self._text)
        self._clients.append(client)
        # Its request may be here already.
        self._serve(client)

    def _serve(self, client: Client) -> None:
        # It may have made room for another in this turn.
        if client not in self._clients:
            return
        try:
            is_over = client.go_on()
        except BlockingIOError:
            is_over = False
        except OSError:
            is_over = True
        if is_over:
            self._drop(client)
        else:
            self._watch(client)

    def _watch(self, client: Client) -> None:
        events = (selectors.EVENT_WRITE if client.rest
                  else selectors.EVENT_READ)
        if client.sock in self._selector.get_map():
            self._selector.modify(client.sock, events, client)
        else:
            self._selector.register(client.sock, events, client)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        if client.sock in self._selector.get_map():
            self._selector.unregister(client.sock)
        client.sock.close()


class Client:
    """A client of the listener: one request, one answer."""

    def __init__(self, sock: socket.socket, text: Callable[[], str]) -> None:
        self.sock = sock
        self.ends_at = time.monotonic() + TIMEOUT_S
        # What is still to be sent.
        self.rest = b''
        self._text = text
        self._head = b''
        self._is_answered = False

    def go_on(self) -> bool:
        """Read and answer; return whether the client has read the answer.

        Raise BlockingIOError when that has to wait, OSError when the client
        is gone.
        """
        while not self._is_answered:
            data = lockedcalls.receive(self.sock, HEAD_BYTES)
            if not data:
                return True
            self._head += data
            answer = self._answer()
            if answer is not None:
                self.rest, self._is_answered = answer, True
        while self.rest:
            self.rest = self.rest[lockedcalls.send(self.sock, self.rest):]
            if not self.rest:
                lockedcalls.end(self.sock)
        # Data that is unread would have the kernel reset the connection, and
        # the client lose the answer.
        return not lockedcalls.receive(self.sock, HEAD_BYTES)

    def _answer(self) -> bytes | None:
        """Return the answer; None while the head is not complete."""
        line, ended, _ = self._head.partition(b'\n')
        words = line.rstrip(b'\r').split(b' ')
        if len(self._head) > HEAD_BYTES or ended and (
                len(words) != 3 or not words[2].startswith(b'HTTP/1.')):
            return response('400 Bad Request', 'This is no HTTP request.\n')
        if b'\r\n\r\n' not in self._head and b'\n\n' not in self._head:
            return None
        if words[1].partition(b'?')[0] != b'/metrics':
            return response('404 Not Found', 'There is /metrics alone.\n')
        if words[0] != b'GET':
            return response('405 Method Not Allowed',
                            'There is GET alone.\n', 'Allow: GET\r\n')
        try:
            return response('200 OK', self._text())
        except Exception:
            logger.exception('there are no metrics')
            return response('500 Internal Server Error',
                            'The log says why.\n')


def response(status: str, body: str, fields: str = '') -> bytes:
    """Return a whole response."""
    data = body.encode()
    return (f'HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n'
            f'Content-Length: {len(data)}\r\n{fields}'
            'Connection: close\r\n\r\n').encode() + data
