"""The proxies of doc/operations.txt, with TLS, in front of a server."""
import ast
import re
import textwrap
from pathlib import Path

import pytest
from zope.server.settings import ROWS
from zope_server_support.fronts import CLIENT
from zope_server_support.fronts import NAME
from zope_server_support.fronts import ask_front
from zope_server_support.fronts import free_port
from zope_server_support.fronts import haproxy
from zope_server_support.fronts import make_certificate
from zope_server_support.fronts import nginx
from zope_server_support.talking import serving

from zc.zkzopeserver import options
from zc.zkzopeserver import readiness

TEXT = (Path(__file__).parents[2] / 'doc' / 'operations.txt').read_text()


def block(beginning):
    """Return the indented block of the section that begins so."""
    section = TEXT.partition('\nBehind a proxy\n---')[2]
    match = re.search(rf'::\n\n(    {re.escape(beginning)}\n(?:    .*\n|\n'
                      r'(?=    ))*)', section)
    assert match, beginning
    return textwrap.dedent(match[1])


FRONTS = {
    'nginx': (nginx, 'server {', 'trusted_proxy = 127.0.0.1'),
    'haproxy': (haproxy, 'frontend www', 'trusted_proxy = 127.0.0.1'),
    'proxy protocol': (haproxy, 'listen www',
                       'trusted_proxy = 127.0.0.1\nproxy_protocol = true'),
}


def showing(environ, start_response):
    """Show what the proxies have told."""
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [repr({key: environ.get(key) for key in (
        'REMOTE_ADDR', 'wsgi.url_scheme', 'HTTP_HOST', 'SERVER_PORT',
        'zope.server.peer')}).encode()]


def parsed(text):
    """Return the options of the lines of an ini."""
    return options.parse({'zookeeper': 'z:1', 'path': '/p', **dict(
        line.split(' = ') for line in text.splitlines())})


@pytest.mark.parametrize('name', FRONTS)
def test_the_proxies_of_the_document(name, tmp_path):
    kind, beginning, lines = FRONTS[name]
    ours = parsed(block(lines.replace('\n', '\n    ')))
    certificate, port = make_certificate(tmp_path), free_port()
    with serving(showing, **{
            row: getattr(ours, row) for row in ROWS
            if row in options.BY_NAME}) as server:
        text = block(beginning)
        for before, after in {
                'listen 443': f'listen 127.0.0.1:{port}',
                'bind :443': f'bind 127.0.0.1:{port}',
                '/etc/ssl/www.pem': str(certificate),
                '127.0.0.1:8080': f'127.0.0.1:{server.address[1]}'}.items():
            text = text.replace(before, after)
        with kind(tmp_path / 'front', text, port):
            status, _, body = ask_front(
                port, '/', certificate, X_Forwarded_For='6.6.6.6',
                X_Forwarded_Proto='gopher', Forwarded='for=6.6.6.6')
        assert status == 200
        found = ast.literal_eval(body.decode())
        assert found['REMOTE_ADDR'] == CLIENT
        assert found['wsgi.url_scheme'] == 'https'
        assert found['HTTP_HOST'] == NAME
        assert found['zope.server.peer'] == '127.0.0.1'
        # As `ready` and `status` ask.
        assert readiness.ask(server.address, '/', 10,
                             readiness.question(ours)) == 200
