"""An nginx in front of what is registered, without any root's rights.

nginx is looked for on the PATH and in /usr/sbin, then in ``parts/nginx``.
Where there is none, Debian's package is fetched with ``apt-get download`` and
unpacked there; elsewhere install nginx (1.19 or later) by other means.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from zc.zk.testing.ports import free_port

PARTS = Path(__file__).parent.parent / 'parts' / 'nginx'
PACKAGES = 'nginx', 'libpcre2-8-0'

# Nothing is retried: a request that fails upstream is to be seen.  Clients
# connect anew for each request, as at a reload nginx closes idle connections
# of theirs at once.
CONFIGURATION = """\
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_timeout 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream providers {{
{servers}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://providers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
}}
"""


class Nginx:
    """An nginx whose upstream list `update` rewrites."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = f'127.0.0.1:{free_port()}'
        self.reloads = 0
        self._command, self._environment = find()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def update(self, addresses: Sequence[str]) -> None:
        """Pass requests on to these from now on; starts it at first."""
        if not addresses:
            return
        with self._lock:
            self._write(addresses)
            if self._process is None:
                self._start()
            else:
                self.reloads += 1
                self._process.send_signal(signal.SIGHUP)

    def _write(self, addresses: Sequence[str]) -> None:
        new = self._folder / 'new.conf'
        new.write_text(CONFIGURATION.format(
            folder=self._folder, port=self.address.rpartition(':')[2],
            servers='\n'.join(f'        server {address} max_fails=0;'
                              for address in addresses)))
        new.rename(self._folder / 'nginx.conf')

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._command, '-p', self._folder, '-e', 'error.log', '-c',
             self._folder / 'nginx.conf', '-g', 'daemon off;'],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL)

    def errors(self) -> str:
        """Return the text of the error log of nginx."""
        path = self._folder / 'error.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def find() -> tuple[str, Mapping[str, str]]:
    """(nginx, the environment that it needs); SystemExit without one."""
    found = shutil.which('nginx', path=os.pathsep.join(
        [os.environ.get('PATH', ''), '/usr/sbin', '/usr/local/sbin']))
    if found:
        return found, {}
    fetched = PARTS / 'usr' / 'sbin' / 'nginx'
    if not fetched.exists():
        fetch()
    libraries = {str(path.parent) for path in PARTS.glob('usr/lib/**/*.so.*')}
    return str(fetched), {'LD_LIBRARY_PATH': os.pathsep.join(libraries)}


def fetch() -> None:
    """Unpack Debian's nginx into the parts folder."""
    print('fetching nginx into', PARTS, file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            subprocess.run(
                ['apt-get', 'download', '--quiet', '-o',
                 'APT::Sandbox::User=' + ('root' if os.geteuid() == 0 else ''),
                 *PACKAGES], cwd=scratch, check=True, capture_output=True)
            for package in Path(scratch).glob('*.deb'):
                subprocess.run(['dpkg-deb', '-x', package, PARTS], check=True)
        except (OSError, subprocess.CalledProcessError) as reason:
            shutil.rmtree(PARTS, ignore_errors=True)
            raise SystemExit(
                'rolling_restart: the mode nginx needs an nginx: install it'
                ' (Debian: apt-get install nginx-light), or run `apt-get'
                f' update` once so that it can be fetched ({reason})'
            ) from None
