"""nginx and HAProxy in front: plain, TLS, and the PROXY protocol."""
from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zope_server_support.applications import PLAIN
from zope_server_support.fronts import CLIENT
from zope_server_support.fronts import NAME
from zope_server_support.fronts import ask_front
from zope_server_support.fronts import free_port
from zope_server_support.fronts import haproxy
from zope_server_support.fronts import make_certificate
from zope_server_support.fronts import nginx
from zope_server_support.talking import serving

KEYS = ('REMOTE_ADDR', 'wsgi.url_scheme', 'HTTP_HOST', 'SCRIPT_NAME',
        'PATH_INFO', 'zope.server.peer')
SPOOFED = {'X_Forwarded_For': '6.6.6.6', 'X_Forwarded_Proto': 'gopher',
           'X_Forwarded_Host': 'evil.example', 'X_Forwarded_Port': '1',
           'Forwarded': 'for=6.6.6.6;proto=https;host=evil.example'}

NGINX = """
server {{
    listen 127.0.0.1:{port}{ssl};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / {{
        proxy_pass http://127.0.0.1:{server};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""
HAPROXY = """
frontend www
    mode http
    bind 127.0.0.1:{port}{ssl}
    option forwardfor
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    default_backend web
backend web
    mode http
    server web 127.0.0.1:{server}{send}
"""
TCP = """
listen web
    mode tcp
    bind 127.0.0.1:{port}{ssl}
    server web 127.0.0.1:{server}{send}
"""


def showing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Show what the proxies have told, and how long the body is."""
    size = len(environ['wsgi.input'].read())
    start_response('200 OK', PLAIN)
    found = {key: environ.get(key) for key in KEYS}
    found['forwarded'] = [key for key in environ if 'FORWARDED' in key]
    return [repr({**found, 'size': size}).encode()]


class Front:
    """A server and its proxy; `ask` returns what the application sees."""

    def __init__(self, port: int, certificate: Path | None) -> None:
        self.port = port
        self.certificate = certificate

    def ask(self, path: str = '/', **more: Any) -> dict[str, Any]:
        """Return the environment that the application has shown."""
        status, _, body = ask_front(self.port, path, self.certificate, **more)
        assert status == 200, body
        return ast.literal_eval(body.decode())


@pytest.fixture(scope='module')
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp('certificate'))


@contextlib.contextmanager
def fronted(folder: Path, kind: Any, text: str, certificate: Path,
            has_tls: bool = False, send: str = '',
            **options: Any) -> Iterator[Front]:
    """Yield a `Front`, with the proxy's configuration filled in."""
    port = free_port()
    ssl = ''
    if has_tls:
        ssl = ' ssl' if kind is nginx else f' ssl crt {certificate}'
    with serving(showing, **{'trusted_proxy': '127.0.0.1', **options}
                 ) as server:
        filled = text.format(port=port, server=server.address[1], ssl=ssl,
                             certificate=certificate, send=send)
        with kind(folder / 'front', filled, port):
            yield Front(port, certificate if has_tls else None)


@pytest.mark.parametrize('has_tls', [False, True], ids=['plain', 'tls'])
@pytest.mark.parametrize('kind, text', [(nginx, NGINX), (haproxy, HAPROXY)],
                         ids=['nginx', 'haproxy'])
def test_fields_of_a_proxy(tmp_path: Path, certificate: Path, kind: Any,
                           text: str, has_tls: bool) -> None:
    with fronted(tmp_path, kind, text, certificate, has_tls) as front:
        for spoofed in ({}, SPOOFED):
            found = front.ask('/a%2Fb', **spoofed)
            assert found == {
                'REMOTE_ADDR': CLIENT, 'HTTP_HOST': NAME, 'size': 0,
                'wsgi.url_scheme': 'https' if has_tls else 'http',
                'SCRIPT_NAME': '', 'PATH_INFO': '/a/b',
                'zope.server.peer': '127.0.0.1',
                'forwarded': found['forwarded']}
            assert sorted(found['forwarded']) == [
                'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO']
        assert front.ask(method='POST', body=b'x' * 3_000_000)[
            'size'] == 3_000_000


@pytest.mark.parametrize('has_tls', [False, True], ids=['plain', 'tls'])
@pytest.mark.parametrize('send', ['send-proxy', 'send-proxy-v2',
                                  'send-proxy-v2-ssl-cn',
                                  'send-proxy-v2 check inter 50ms'])
def test_the_proxy_protocol_of_tcp(tmp_path: Path, certificate: Path,
                                   send: str, has_tls: bool) -> None:
    with fronted(tmp_path, haproxy, TCP, certificate, has_tls, f' {send}',
                 proxy_protocol=True, url_scheme='https') as front:
        for spoofed in ({}, SPOOFED):
            assert front.ask(**spoofed) == {
                'REMOTE_ADDR': CLIENT, 'HTTP_HOST': NAME, 'size': 0,
                'wsgi.url_scheme': 'https', 'SCRIPT_NAME': '',
                'PATH_INFO': '/', 'zope.server.peer': '127.0.0.1',
                'forwarded': []}
        assert front.ask(method='POST', body=b'x' * 3_000_000)[
            'size'] == 3_000_000


@pytest.mark.parametrize('send', ['send-proxy', 'send-proxy-v2'])
def test_the_proxy_protocol_and_a_field(tmp_path: Path, certificate: Path,
                                        send: str) -> None:
    with fronted(tmp_path, haproxy, HAPROXY, certificate, True, f' {send}',
                 proxy_protocol=True,
                 trusted_proxy_headers='x-forwarded-proto') as front:
        found = front.ask(**SPOOFED)
    assert found['REMOTE_ADDR'] == CLIENT
    assert found['wsgi.url_scheme'] == 'https'
    assert found['forwarded'] == ['HTTP_X_FORWARDED_PROTO']


def test_the_checks_of_a_proxy_are_its_own(tmp_path: Path,
                                           certificate: Path) -> None:
    """They come with the command LOCAL, and find the server up."""
    text = TCP.replace('mode tcp', 'mode http\n    option httpchk GET /up')
    with fronted(tmp_path, haproxy, text, certificate,
                 send=' send-proxy-v2 check-send-proxy check inter 50ms'
                 ' rise 1 init-addr last', proxy_protocol=True) as front:
        assert front.ask()['REMOTE_ADDR'] == CLIENT


@pytest.mark.parametrize('names', ['', 'x-forwarded-for, x-forwarded-proto'])
def test_a_chain_of_both(tmp_path: Path, certificate: Path,
                         names: str) -> None:
    """HAProxy has the TLS, and nginx hands on what it has told."""
    between = free_port()
    with fronted(tmp_path, nginx, NGINX.replace(
            '$scheme', '$http_x_forwarded_proto'), certificate,
            trusted_proxy_headers=names) as inner:
        outer = HAPROXY.format(port=between, server=inner.port, send='',
                               ssl=f' ssl crt {certificate}')
        with haproxy(tmp_path / 'outer', outer, between):
            found = Front(between, certificate).ask(**SPOOFED)
    assert found['REMOTE_ADDR'] == CLIENT
    assert found['wsgi.url_scheme'] == 'https'


@pytest.mark.parametrize('passed', ['/app/', '/'])
def test_a_prefix(tmp_path: Path, certificate: Path, passed: str) -> None:
    text = NGINX.replace('location /', 'location /app/').replace(
        '{server};', '{server}%s;' % (passed if passed == '/' else ''))
    with fronted(tmp_path, nginx, text, certificate,
                 url_prefix='/app') as front:
        found = front.ask('/app/x')
    assert (found['SCRIPT_NAME'], found['PATH_INFO']) == ('/app', '/x')
