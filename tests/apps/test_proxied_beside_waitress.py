"""Fields of proxies, honest and spoofed: what waitress makes of them."""
import ast

import pytest
from zkzopeserver_support.beside import ask
from zkzopeserver_support.beside import waitress_served
from zkzopeserver_support.beside import zope_served

KEYS = ('REMOTE_ADDR', 'wsgi.url_scheme', 'HTTP_HOST', 'SERVER_NAME',
        'SERVER_PORT', 'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO',
        'HTTP_X_FORWARDED_HOST', 'HTTP_X_FORWARDED_PORT', 'HTTP_FORWARDED')
NAMES = ('x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host',
         'x-forwarded-port')
THEIR_NAMES = '127.0.0.1', 'waitress.invalid'
PORTS = '80', '443', '8443'

SAME = [
    'X-Forwarded-For: 192.0.2.1',
    'X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\n'
    'X-Forwarded-Host: www.example.org',
    'X-Forwarded-For: 2001:db8::1',
    'X-Forwarded-For: 192.0.2.1:4711',
    'X-Forwarded-For: 6.6.6.6, 192.0.2.1',
    'X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 192.0.2.1',
    'X-Forwarded-For: <script>, 192.0.2.1',
    'X-Forwarded-For: unknown',
    'X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: gopher',
    'X-Forwarded-Proto: https\nX-Forwarded-Host: www.example.org\n'
    'X-Forwarded-Port: 8443',
    'X-Forwarded-Proto: https\nX-Forwarded-Host: www.example.org:8443',
    'X-Forwarded-Host: evil.example, www.example.org\n'
    'X-Forwarded-Proto: http',
    'X-Forwarded-By: 127.0.0.1',
    'Forwarded: for=6.6.6.6;proto=https;host=evil.example',
    'X-Forwarded-For: 192.0.2.1\nForwarded: for=6.6.6.6;proto=https',
]
# What both take, with another address of the client.
DIFFERENT = {
    # waitress puts brackets around what has some.
    'X-Forwarded-For: [2001:db8::1]:4711': (
        '2001:db8::1', '[2001:db8::1]:4711'),
    'X-Forwarded-For: 2001:DB8:0::1': ('2001:db8::1', '2001:DB8:0::1'),
}
# The count holds for each field here; waitress refuses two schemes.
SPOOFED_SCHEME = 'X-Forwarded-Proto: https\nX-Forwarded-Proto: http'
# What waitress takes, and this server refuses with 400.
REFUSED = [
    'X-Forwarded-For: nobody',
    'X-Forwarded-For: 192.0.2.256',
    'X-Forwarded-For: 192.0.2.1 6.6.6.6',
    'X-Forwarded-For: [2001:db8::1',
    'X-Forwarded-Host: a/b',
    'X-Forwarded-Host: "a b"',
    'X-Forwarded-Host: www.example.org:81\nX-Forwarded-Port: 82',
    'X-Forwarded-Port: no number',
    'X-Forwarded-Port: 70000',
]
# As the former, of the Forwarded field: waitress splits at commas and
# semicolons, within quotation marks, too, and looks at no address.
SAME_FORWARDED = [
    'Forwarded: for=192.0.2.1',
    'Forwarded: for=192.0.2.1;proto=https;host=www.example.org',
    'Forwarded: for="[2001:db8::1]:4711";by=127.0.0.1',
    'Forwarded: for=6.6.6.6, for=192.0.2.1',
    'Forwarded: for=6.6.6.6;proto=https\nForwarded: for=192.0.2.1',
    'Forwarded: for=unknown',
    'Forwarded: for=192.0.2.1; proto=https',
    'Forwarded: for = 192.0.2.1',
    'Forwarded: 192.0.2.1',
    'Forwarded: for=192.0.2.1;proto=gopher',
    'X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https',
]
REFUSED_FORWARDED = [
    'Forwarded: for=nobody',
    'Forwarded: for=192.0.2.1:80',
    'Forwarded: for="2001:db8::1"',
    'Forwarded: for=192.0.2.1;for=6.6.6.6',
    'Forwarded: for=192.0.2.1;host="a/b"',
    'Forwarded: for=192.0.2.1;by=here',
]


def showing(environ, start_response):
    """Show what the proxies have told."""
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [repr({key: environ[key] for key in KEYS
                  if key in environ}).encode()]


def told(address, fields):
    """Return the status, and what the application has seen if it is 200."""
    request = 'GET / HTTP/1.1\nHost: example.com\nConnection: close\n'
    answer = ask(address, f'{request}{fields}\n\n'.replace(
        '\n', '\r\n').encode())
    status = int(answer.status.split()[1])
    return status, ast.literal_eval(
        answer.body.decode()) if status == 200 else None


@pytest.fixture(scope='module', params=['fields', 'forwarded'])
def kind(request):
    return request.param


def settings_of(kind):
    """Return settings of both servers: of zope.server, and of waitress."""
    names = NAMES if kind == 'fields' else ('forwarded',)
    return ({'trusted_proxy': '127.0.0.1', 'trusted_proxy_count': 1,
             'trusted_proxy_headers': ', '.join(names)},
            {'trusted_proxy': '127.0.0.1', 'trusted_proxy_count': 1,
             'trusted_proxy_headers': set(names),
             'clear_untrusted_proxy_headers': True})


@pytest.fixture(scope='module')
def servers(kind):
    here, there = settings_of(kind)
    with zope_served(showing, **here) as first, waitress_served(
            showing, **there) as second:
        yield first, second


def test_honest_and_spoofed_fields_have_the_same_effect(servers, kind):
    here, waitress = servers
    for fields in SAME if kind == 'fields' else SAME_FORWARDED:
        found, wanted = told(here, fields), told(waitress, fields)
        for _, environ in (found, wanted):
            # By themselves the servers have other names and ports.
            if environ and environ['SERVER_PORT'] not in PORTS:
                del environ['SERVER_PORT']
            if environ and environ['SERVER_NAME'] in THEIR_NAMES:
                del environ['SERVER_NAME']
        assert found == wanted, fields


def test_what_has_another_effect(servers, kind):
    here, waitress = servers
    for fields, clients in DIFFERENT.items() if kind == 'fields' else ():
        found, other = told(here, fields)[1], told(waitress, fields)[1]
        assert (found['REMOTE_ADDR'], other['REMOTE_ADDR']) == clients


def test_a_spoofed_scheme_has_no_effect(servers, kind):
    here, waitress = servers
    if kind == 'fields':
        assert told(here, SPOOFED_SCHEME)[1]['wsgi.url_scheme'] == 'http'
        assert told(waitress, SPOOFED_SCHEME) == (400, None)


def test_what_waitress_takes_is_refused(servers, kind):
    here, waitress = servers
    for fields in REFUSED if kind == 'fields' else REFUSED_FORWARDED:
        assert told(here, fields) == (400, None), fields
        assert told(waitress, fields)[0] == 200, fields


def test_both_remove_what_other_peers_send(kind):
    here, there = settings_of(kind)
    with zope_served(showing, **{**here, 'trusted_proxy': '10.0.0.1'}
                     ) as first, waitress_served(
            showing, **{**there, 'trusted_proxy': '10.0.0.1'}) as second:
        for fields in SAME + REFUSED + SAME_FORWARDED + REFUSED_FORWARDED:
            for address in (first, second):
                status, environ = told(address, fields)
                assert status == 200
                assert environ['REMOTE_ADDR'] == '127.0.0.1'
                assert environ['wsgi.url_scheme'] == 'http'
                assert environ['HTTP_HOST'] == 'example.com'
                assert not [key for key in environ if 'FORWARDED' in key]
