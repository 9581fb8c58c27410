"""HTTP servers: in threads, or in processes, which tests can kill."""
from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Server = TypeVar('Server', bound=socketserver.BaseServer)


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Have a server serve in a thread, and close it."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# Starts a server, a fork of its own, for each line that it reads, as imports
# take most of the time of a start.  The line is JSON: the arguments.  Prints
# the pid and the port.  For a number it ends the server with that pid, and
# prints the number.
#
# A server answers with its pid, the Host field, the method and the body;
# breaks the connection before the answer at /break, waits at /slow.
PROGRAM = '''
import http.server, json, os, signal, ssl, sys, time

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
        if self.path == '/break' and os.path.exists(self.server.fault):
            os.unlink(self.server.fault)
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

def serve(fault, *tls):
    server = Server(('127.0.0.1', 0), Handler)
    server.fault = fault
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(os.getpid(), server.server_address[1], flush=True)
    server.serve_forever()

running = set()

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    running.discard(pid)

for line in sys.stdin:
    words = json.loads(line)
    if isinstance(words, int):
        end(words)
        print(words, flush=True)
    elif (pid := os.fork()):
        running.add(pid)
    else:
        sys.stdin.close()
        serve(*words)
for pid in list(running):
    end(pid)
'''


class Starter:
    """The process that starts servers; `close` ends it and all of them."""

    def __init__(self) -> None:
        # Without site, which takes as long as these imports.
        self._popen = subprocess.Popen(
            [sys.executable, '-I', '-S', '-c', PROGRAM], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, words: Sequence[str] | int) -> str:
        """Send a line of words, or a pid; return the answer."""
        assert self._popen.stdin and self._popen.stdout
        print(json.dumps(words), file=self._popen.stdin, flush=True)
        return self._popen.stdout.readline().strip()

    def close(self) -> None:
        """End all servers and the process."""
        with self._popen:
            pass


class HTTPServer:
    """A server process; `address` is ``127.0.0.1:PORT``.

    The first request to /break, while the file `fault` exists, ends without
    an answer, and deletes it.
    """

    def __init__(self, starter: Starter, fault: Path, *tls: str) -> None:
        self.fault = fault
        self._starter = starter
        self._is_running = True
        pid, port = starter.ask([str(fault), *tls]).split()
        self.address = f'127.0.0.1:{port}'
        self.pid = int(pid)

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self._starter.ask(self.pid) == str(self.pid)
        self._is_running = False

    def close(self) -> None:
        """End it, if it still runs."""
        if self._is_running:
            self.kill()


@contextlib.contextmanager
def http_servers(starter: Starter, folder: Path, count: int,
                 *tls: str) -> Iterator[list[HTTPServer]]:
    """Yield running servers; `tls` are a certificate and its key."""
    made = [HTTPServer(starter, folder / 'fault', *tls)
            for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate."""
    return ssl.create_default_context(cafile=certificate)
