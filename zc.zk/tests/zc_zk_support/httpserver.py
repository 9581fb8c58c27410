"""HTTP servers in processes of their own, which tests can kill."""
from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Answers with its pid, the Host field, the method and the body; breaks the
# connection before the answer at /break, waits at /slow.
PROGRAM = '''
import http.server, os, ssl, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length)
        if self.headers.get('Transfer-Encoding'):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.path == '/break' and os.path.exists(sys.argv[1]):
            os.unlink(sys.argv[1])
            self.connection.close()
            self.close_connection = True
            return
        if self.path.startswith('/slow'):
            time.sleep(float(self.path[5:] or 0.2))
        text = ' '.join([str(os.getpid()), str(self.headers['Host']),
                         self.command, body.decode(),
                         str(self.client_address[1])])
        if self.path in ('/away', '/again'):
            self.send_response(302)
            self.send_header('Location', 'http://elsewhere.example/'
                             if self.path == '/away' else '/')
        else:
            self.send_response(503 if self.path == '/503' else 200)
        self.send_header('Content-Length', str(len(text)))
        self.send_header('Set-Cookie', 'seen=1')
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

server = Server(('127.0.0.1', 0), Handler)
if sys.argv[2:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
'''


class HTTPServer:
    """A server process; `address` is ``127.0.0.1:PORT``.

    The first request to /break, while the file `fault` exists, ends without
    an answer, and deletes it.
    """

    def __init__(self, fault: Path, *tls: str) -> None:
        self.fault = fault
        self._popen = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, str(fault), *tls],
            stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        self.address = '127.0.0.1:' + self._popen.stdout.readline().strip()
        self.pid = self._popen.pid

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        self._popen.wait()

    def close(self) -> None:
        """End it, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.kill()
        self._popen.wait()
        self._popen.stdout.close()


@contextlib.contextmanager
def http_servers(folder: Path, count: int,
                 *tls: str) -> Iterator[list[HTTPServer]]:
    """Yield running servers; `tls` are a certificate and its key."""
    made = [HTTPServer(folder / 'fault', *tls) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate."""
    return ssl.create_default_context(cafile=certificate)
