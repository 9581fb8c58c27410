"""A small HTTP server, for pages that operators look at.

It is the standard library's, a thread for each connection, with what that
leaves open closed:

- A connection has one request. The standard library's parser takes what it
  does not understand of a head for the head's end, and what is left unread of
  a body for the next request: behind a proxy, one client's request could so
  bring another one's answer (RFC 9112, section 11.2).
- A client has one time for its request, and not one for each byte.
- The number of connections is limited.
- This machine's name is not asked for, which takes long where DNS is broken.
"""
from __future__ import annotations

import contextlib
import http.server
import io
import logging
import socket
import socketserver
import threading
import time
from typing import Any
from typing import ClassVar

logger = logging.getLogger('zc.zk.webserver')

#: How long, in seconds, and how much of a body that was not wanted is read: a
#: connection that is closed with data unread is reset, and the answer lost.
DRAIN_S = 2.0
DRAIN_BYTES = 2 ** 23

PIECE_BYTES = 2 ** 16


class Server(http.server.ThreadingHTTPServer):
    """Serves at ``(HOST, PORT)``; raise OSError when it cannot listen.

    More connections than `limit` are closed at once.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[Handler],
                 limit: int) -> None:
        if ':' in address[0]:
            self.address_family = socket.AF_INET6
        self._places = threading.BoundedSemaphore(limit)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, without asking for the name of this machine."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection; close one too many."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any,
                               client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what has failed, unless the client is only gone."""
        logger.debug('a request has failed', exc_info=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the one request of a connection.

    `timeout` is the time in seconds that the client has to send it, and then
    to take what is sent.
    """

    protocol_version = 'HTTP/1.1'
    sys_version = ''
    timeout: ClassVar[float] = 30.0

    def setup(self) -> None:
        """Prepare to read, for `timeout` seconds in all."""
        super().setup()
        self.rfile = io.BufferedReader(_Deadline(
            self.connection, self.timeout))

    def parse_request(self) -> bool:
        """Parse the request, after which there is no other."""
        is_right = super().parse_request()
        self.close_connection = True
        return is_right

    def finish(self) -> None:
        """Flush the answer, and let the client have it."""
        super().finish()
        found = getattr(self, 'headers', None)
        if found and (found.get('Content-Length', '0') != '0'
                      or 'Transfer-Encoding' in found):
            with contextlib.suppress(OSError):
                self._drain()

    def _drain(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)
        reader = _Deadline(self.connection, DRAIN_S)
        left = DRAIN_BYTES
        while left > 0 and (data := reader.read(PIECE_BYTES)):
            left -= len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: who looks is nobody's business."""


class _Deadline(io.RawIOBase):
    """Reads a socket for a time in all; then it raises TimeoutError."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._usual_s = sock.gettimeout()
        self._ends_at = time.monotonic() + seconds

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; return how many, 0 at the end."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError('the request has not come in time')
        self._sock.settimeout(left_s)
        try:
            return self._sock.recv_into(buffer)
        finally:
            self._sock.settimeout(self._usual_s)
