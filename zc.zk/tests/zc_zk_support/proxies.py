"""Real proxies in front of small servers, for the tests of the follower.

nginx and HAProxy are looked for on the PATH and in /usr/sbin; Envoy, Traefik
and Caddy also in the folder that ``.ci/proxies`` fills, or that the
environment variable ZC_ZK_TEST_PROXIES names.
"""
from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for

FOLDER_VARIABLE = 'ZC_ZK_TEST_PROXIES'
FOLDER = Path(__file__).parents[3] / '.venv-proxies' / 'bin'


def find(name: str) -> str:
    """Return the path of a proxy's program; skip the test without it."""
    path = os.pathsep.join([os.environ.get(FOLDER_VARIABLE, str(FOLDER)),
                            os.environ.get('PATH', ''), '/usr/sbin'])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f'no {name} here: install it, or run .ci/proxies')
    return found


class Backend:
    """A server that answers with its port, in threads of its own."""

    def __init__(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self) -> None:
                body = str(self.server.server_address[1]).encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                pass

        self._server = Server(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.name = f'127.0.0.1:{self.port}'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Proxy:
    """A proxy in the foreground, whose list of servers is in `file`.

    `port` is where it listens, for the service cms.
    """

    program = ''
    extension = 'conf'
    #: The signal that ends it at once.
    signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.binary = find(self.program)
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        lists = folder / 'lists'
        lists.mkdir(exist_ok=True)
        self.file = lists / f'cms.{self.extension}'
        self.process: subprocess.Popen | None = None

    def configure(self) -> None:
        """Write the configuration around the list."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.configure()
        with open(self.folder / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder,
                stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.is_up, message=self.log)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError), socket.create_connection(
                ('127.0.0.1', self.port), 1):
            return True
        return False

    def log(self) -> str:
        return (self.folder / 'log').read_text(errors='replace')

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.signal)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        # Workers of old configurations are of the same group.
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def get(self) -> tuple[int, str]:
        """Return the status and the text of an answer; connect anew."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port,
                                                timeout=10)
        try:
            connection.request('GET', '/', headers={'Connection': 'close'})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ports(self, count: int = 30) -> set[int]:
        """Return the ports of the servers that answer, of many requests."""
        return {int(text) for status, text in (
            self.get() for _ in range(count)) if status == 200}


class Nginx(Proxy):
    """nginx, with two workers."""

    program = 'nginx'
    signal = signal.SIGTERM
    extra = ''

    def configure(self) -> None:
        self.file.touch()
        temporary = ''.join(
            f'{name}_temp_path {self.folder}/{name};\n' for name in (
                'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        (self.folder / 'nginx.conf').write_text(f'''\
worker_processes 2;
pid {self.folder}/pid;
daemon off;
error_log {self.folder}/error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {temporary}
    {self.extra}
    include {self.folder}/lists/*.conf;
    server {{
        listen 127.0.0.1:{self.port} backlog=1024;
        location / {{
            proxy_pass http://cms;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
}}
''')

    def command(self) -> list[str]:
        return [self.binary, '-c', f'{self.folder}/nginx.conf', '-e',
                f'{self.folder}/error']

    @property
    def check(self) -> str:
        return ' '.join([*self.command(), '-t', '-q'])

    @property
    def reload(self) -> str:
        return ' '.join([*self.command(), '-s', 'reload'])


class HAProxy(Proxy):
    """HAProxy with a master process, and an admin socket."""

    program = 'haproxy'
    extension = 'cfg'

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # The path of a unix socket has at most 107 bytes: unix(7).
        self.socket = f'{folder}/admin'

    def configure(self) -> None:
        if not self.file.exists():
            self.file.write_text('backend cms\n')
        (self.folder / 'haproxy.cfg').write_text(f'''\
global
    stats socket {self.socket} level admin
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 0
frontend front
    bind 127.0.0.1:{self.port}
    default_backend cms
''')

    def is_up(self) -> bool:
        if not super().is_up():
            return False
        with contextlib.suppress(OSError), socket.socket(
                socket.AF_UNIX) as admin:
            admin.connect(self.socket)
            return True
        return False

    def command(self) -> list[str]:
        return [self.binary, '-W', '-f', f'{self.folder}/haproxy.cfg', '-f',
                str(self.file)]

    @property
    def check(self) -> str:
        return f'{self.binary} -c -q -f {self.folder}/haproxy.cfg -f {{file}}'

    @property
    def reload(self) -> str:
        assert self.process is not None
        return f'kill -USR2 {self.process.pid}'
