"""nginx and HAProxy in front of a server, as tests start them.

Debian has both: ``apt-get install nginx-light haproxy openssl``.  Where one
is missing, the tests that need it are skipped.
"""
from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from zope_server_support.talking import until

# Debian has them where only root looks.
PATH = '/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin:/bin'
# The address of the clients, which no proxy has.
CLIENT = '127.0.0.5'
NAME = 'www.example.com'

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 0;
    proxy_request_buffering off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{text}
}}
"""
HAPROXY = """\
global
    maxconn 64
defaults
    timeout connect 5s
    timeout client 20s
    timeout server 20s
{text}
"""


def program(name: str) -> str:
    """Return the path of a program; skip the test without it."""
    found = shutil.which(name) or shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f'there is no {name} (Debian: apt-get install {name})')
    return found


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(('127.0.0.1', 0)) as sock:
        return sock.getsockname()[1]


def make_certificate(folder: Path) -> Path:
    """Return a file with a certificate of NAME and localhost, and its key."""
    path = folder / 'www.pem'
    key, certificate = folder / 'key.pem', folder / 'certificate.pem'
    subprocess.run([
        program('openssl'), 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
        '-days', '1', '-subj', f'/CN={NAME}', '-addext',
        f'subjectAltName=DNS:{NAME},DNS:localhost', '-keyout', str(key),
        '-out', str(certificate)], check=True, stderr=subprocess.DEVNULL)
    path.write_text(certificate.read_text() + key.read_text())
    return path


def has_begun(process: subprocess.Popen, port: int) -> bool:
    """Return whether something listens; raise AssertionError if it ended."""
    assert process.poll() is None, 'the proxy has ended'
    with contextlib.suppress(OSError):
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    return False


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """Run a proxy that listens on `port`, and end it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        until(lambda: has_begun(process, port))
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def nginx(folder: Path, text: str, port: int) -> Iterator[None]:
    """Run an nginx with the text in its ``http`` block."""
    command = program('nginx')
    folder.mkdir(exist_ok=True)
    path = folder / 'nginx.conf'
    path.write_text(NGINX.format(folder=folder, text=text))
    with running([command, '-p', str(folder), '-c', str(path),
                  '-e', str(folder / 'nginx.log')], port):
        yield


@contextlib.contextmanager
def haproxy(folder: Path, text: str, port: int) -> Iterator[None]:
    """Run an HAProxy with the sections of the text."""
    command = program('haproxy')
    folder.mkdir(exist_ok=True)
    path = folder / 'haproxy.cfg'
    path.write_text(HAPROXY.format(text=text))
    with running([command, '-q', '-db', '-f', str(path)], port):
        yield


def ask_front(port: int, path: str = '/', certificate: Path | None = None,
              method: str = 'GET', body: bytes | None = None,
              **fields: str) -> tuple[int, dict[str, str], bytes]:
    """Ask a proxy, from CLIENT; return (status, fields, body).

    With a certificate the client comes by TLS.  ``_`` in the names of further
    fields stands for ``-``.
    """
    sock: socket.socket = socket.create_connection(
        ('127.0.0.1', port), 20, source_address=(CLIENT, 0))
    if certificate is not None:
        context = ssl.create_default_context(cafile=str(certificate))
        sock = context.wrap_socket(sock, server_hostname=NAME)
    connection = http.client.HTTPConnection(NAME)
    connection.sock = sock
    with contextlib.closing(connection):
        connection.request(method, path, body, {
            'Host': NAME, **{name.replace('_', '-'): value
                             for name, value in fields.items()}})
        response = connection.getresponse()
        return (response.status, dict(response.getheaders()),
                response.read())
