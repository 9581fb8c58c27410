"""Fields of proxies: whom the server believes, and what comes of it."""
from __future__ import annotations

import ast
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zope.server.errors import HTTPError
from zope.server.forwarded import parse_forwarded
from zope.server.networks import Networks
from zope.server.options import SettingsError
from zope.server.proxies import FIELDS_CACHED
from zope.server.proxies import Proxies
from zope.server.request import Request
from zope.server.runner import run
from zope.server.settings import Settings
from zope_server_support.applications import PLAIN
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.talking import Client
from zope_server_support.talking import serving

TRUST = {'trusted_proxy': '127.0.0.1, 10.0.0.0/8, fd00::/8'}
ALL = 'x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port'
SHOWN = ('REMOTE_ADDR', 'REMOTE_PORT', 'wsgi.url_scheme', 'HTTP_HOST',
         'SERVER_NAME', 'SERVER_PORT', 'SCRIPT_NAME', 'PATH_INFO',
         'zope.server.peer', 'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO',
         'HTTP_X_FORWARDED_HOST', 'HTTP_X_FORWARDED_PORT',
         'HTTP_X_FORWARDED_BY', 'HTTP_FORWARDED')


def environ(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Show what proxies change."""
    start_response('200 OK', PLAIN)
    return [repr({key: environ[key] for key in SHOWN
                  if key in environ}).encode()]


def asked(fields: str, target: bytes = b'/', **options: Any) -> dict:
    """Return the environment of a request with these fields.

    Without one, because of a refusal, it is the status and the text.
    """
    raw = fields.replace('\n', '\r\n').encode('latin-1') + b'\r\n'
    with serving(environ, **options) as server, (
            Client(server.address)) as client:
        response = client.get(target, raw if fields else b'')
        if response.status != 200:
            return {'status': response.status,
                    'text': response.body.decode().strip()}
        return ast.literal_eval(response.body.decode())


def client_of(fields: str, **options: Any) -> tuple[str, str | None]:
    """Return REMOTE_ADDR and REMOTE_PORT, or the status and ''."""
    found = asked(fields, **{**TRUST, **options})
    if 'status' in found:
        return str(found['status']), ''
    return found['REMOTE_ADDR'], found.get('REMOTE_PORT')


@pytest.mark.parametrize('value, client', [
    ('192.0.2.1', ('192.0.2.1', None)),
    ('192.0.2.1:4711', ('192.0.2.1', '4711')),
    ('"192.0.2.1:4711"', ('192.0.2.1', '4711')),
    ('2001:db8::1', ('2001:db8::1', None)),
    ('2001:DB8:0::1', ('2001:db8::1', None)),
    ('[2001:db8::1]', ('2001:db8::1', None)),
    ('[2001:db8::1]:80', ('2001:db8::1', '80')),
    ('"[2001:db8::1]:80"', ('2001:db8::1', '80')),
    ('::ffff:192.0.2.1', ('192.0.2.1', None)),
    ('unknown', ('unknown', None)),
    ('_hidden', ('_hidden', None)),
    ('_hidden, 10.0.0.1', ('_hidden', None)),
    ('192.0.2.9, 192.0.2.1', ('192.0.2.1', None)),
    ('192.0.2.1, 10.0.0.1', ('192.0.2.1', None)),
    ('192.0.2.9,192.0.2.1 ,10.0.0.1,fd00::7', ('192.0.2.1', None)),
    ('10.0.0.3, 10.0.0.2:9', ('10.0.0.3', None)),
    # What stands before the client is the client's own word.
    ('<script>, ;;, 192.0.2.1', ('192.0.2.1', None)),
    ('192.0.2.1\nX-Forwarded-For: 10.0.0.1', ('192.0.2.1', None)),
    (', 192.0.2.1,', ('192.0.2.1', None)),
    ('', ('127.0.0.1', 'port')),
    ('localhost', ('400', '')),
    ('192.0.2.1, 10.0.0.256', ('400', '')),
    ('192.0.2.1:', ('400', '')),
    ('192.0.2.1:99999', ('400', '')),
    ('192.0.2.1:80:80', ('400', '')),
    ('192.0.2.01', ('400', '')),
    ('[192.0.2.1]', ('400', '')),
    ('[2001:db8::1', ('400', '')),
    ('[]', ('400', '')),
    ('fe80::1%eth0', ('400', '')),
    ('192.0.2.1 10.0.0.1', ('400', '')),
    ('1' * 5000, ('400', '')),
    ('192.0.2.1, "', ('400', '')),
])
def test_the_client_of_x_forwarded_for(value: str,
                                       client: tuple[str, str]) -> None:
    address, port = client_of(f'X-Forwarded-For: {value}')
    assert address == client[0]
    assert (port or '').isdigit() if client[1] == 'port' else (
        port == client[1])


@pytest.mark.parametrize('value, client', [
    ('for=192.0.2.1', ('192.0.2.1', None)),
    ('For=192.0.2.1;Proto=https;by=10.0.0.1', ('192.0.2.1', None)),
    ('for="192.0.2.1:4711"', ('192.0.2.1', '4711')),
    ('for="192.0.2.1:_gazonk"', ('192.0.2.1', None)),
    ('for="[2001:db8::1]:4711"', ('2001:db8::1', '4711')),
    (r'for="192.0.2.\1"', ('192.0.2.1', None)),
    ('for=unknown', ('unknown', None)),
    ('for=_SEVKISEK', ('_SEVKISEK', None)),
    ('for=192.0.2.9, for=192.0.2.1', ('192.0.2.1', None)),
    ('for=192.0.2.1, for=10.0.0.1', ('192.0.2.1', None)),
    ('for=192.0.2.1,for=10.0.0.1;;proto=http;', ('192.0.2.1', None)),
    (',for=192.0.2.1;,;for=10.0.0.1,', ('192.0.2.1', None)),
    ('for=192.0.2.1\nForwarded: for=10.0.0.1', ('192.0.2.1', None)),
    ('proto=https', ('127.0.0.1', 'port')),
    ('for=192.0.2.1;secret="a, for=10.0.0.1"', ('192.0.2.1', None)),
    ('for=192.0.2.9;x="\nForwarded: for=192.0.2.1', ('400', '')),
    ('for=192.0.2.9", for=192.0.2.1', ('400', '')),
    ('for=192.0.2.1; proto=https', ('400', '')),
    ('for = 192.0.2.1', ('400', '')),
    ('for=192.0.2.1:80', ('400', '')),
    ('for=2001:db8::1', ('400', '')),
    ('for="2001:db8::1"', ('400', '')),
    ('for=192.0.2.1;for=192.0.2.2', ('400', '')),
    ('for=192.0.2.1;FOR=192.0.2.1', ('400', '')),
    ('192.0.2.1', ('400', '')),
    ('for=', ('400', '')),
    ('for=""', ('400', '')),
    ('for=192.0.2.1;proto=gopher', ('400', '')),
    ('for=192.0.2.1;host="a b"', ('400', '')),
    ('for=192.0.2.1;by=here', ('400', '')),
    ('for=nobody', ('400', '')),
])
def test_the_client_of_forwarded(value: str,
                                 client: tuple[str, str]) -> None:
    address, port = client_of(f'Forwarded: {value}',
                              trusted_proxy_headers='forwarded')
    assert address == client[0]
    assert (port or '').isdigit() if client[1] == 'port' else (
        port == client[1])


@pytest.mark.parametrize('count, client', [
    (1, '10.0.0.1'), (2, '192.0.2.1'), (3, '192.0.2.9'), (9, '192.0.2.9')])
def test_a_count_says_which_address_is_the_client(count: int,
                                                  client: str) -> None:
    chain = ['192.0.2.9', '192.0.2.1', '10.0.0.1']
    assert client_of('X-Forwarded-For: ' + ','.join(chain),
                     trusted_proxy_count=count)[0] == client
    assert client_of('Forwarded: ' + ','.join(f'for={each}'
                                              for each in chain),
                     trusted_proxy_count=count,
                     trusted_proxy_headers='forwarded')[0] == client


@pytest.mark.parametrize('fields, told', [
    ('X-Forwarded-Proto: https',
     ('https', 'example.com', '127.0.0.1', '443')),
    ('X-Forwarded-Proto: HTTPS, https',
     ('https', 'example.com', '127.0.0.1', '443')),
    ('X-Forwarded-Proto: https, http',
     {'status': 400,
      'text': 'The fields of a proxy contradict each other.'}),
    ('X-Forwarded-Proto: https\nX-Forwarded-Proto: https',
     ('https', 'example.com', '127.0.0.1', '443')),
    ('X-Forwarded-Host: www.example.org',
     ('http', 'www.example.org', 'www.example.org', '80')),
    ('X-Forwarded-Host: www.example.org:8080',
     ('http', 'www.example.org:8080', 'www.example.org', '8080')),
    ('X-Forwarded-Host: www.example.org\nX-Forwarded-Port: 8443\n'
     'X-Forwarded-Proto: https',
     ('https', 'www.example.org:8443', 'www.example.org', '8443')),
    ('X-Forwarded-Host: www.example.org\nX-Forwarded-Port: 443\n'
     'X-Forwarded-Proto: https',
     ('https', 'www.example.org', 'www.example.org', '443')),
    ('X-Forwarded-Port: 443\nX-Forwarded-Proto: https',
     ('https', 'example.com', '127.0.0.1', '443')),
    ('X-Forwarded-Port: 8443\nX-Forwarded-Proto: https',
     ('https', 'example.com:8443', '127.0.0.1', '8443')),
    ('X-Forwarded-Host: [2001:db8::1]:81',
     ('http', '[2001:db8::1]:81', '[2001:db8::1]', '81')),
    ('X-Forwarded-Host: a.example:81\nX-Forwarded-Port: 82',
     {'status': 400,
      'text': 'The fields of a proxy contradict each other.'}),
    ('X-Forwarded-Host: evil.example, a.example',
     {'status': 400,
      'text': 'The fields of a proxy contradict each other.'}),
    ('X-Forwarded-Proto: gopher',
     {'status': 400, 'text': 'The X-Forwarded-Proto field is malformed.'}),
    ('X-Forwarded-Host: a/b',
     {'status': 400, 'text': 'The X-Forwarded-Host field is malformed.'}),
    ('X-Forwarded-Host: a.example:77777',
     {'status': 400, 'text': 'The X-Forwarded-Host field is malformed.'}),
    ('X-Forwarded-Host: :80',
     {'status': 400, 'text': 'The X-Forwarded-Host field is malformed.'}),
    ('X-Forwarded-Port: 0x50',
     {'status': 400, 'text': 'The X-Forwarded-Port field is malformed.'}),
    ('X-Forwarded-Port: \xb2',
     {'status': 400, 'text': 'The X-Forwarded-Port field is malformed.'}),
])
def test_what_the_client_has_asked_for(fields: str, told: Any) -> None:
    found = asked(fields, **TRUST, trusted_proxy_headers=ALL)
    if isinstance(told, tuple):
        assert tuple(found[key] for key in (
            'wsgi.url_scheme', 'HTTP_HOST', 'SERVER_NAME',
            'SERVER_PORT')) == told
    else:
        assert found == told


def test_the_outermost_proxy_knows_what_was_asked_for() -> None:
    found = asked('Forwarded: for=192.0.2.9;host=evil.example;proto=http,'
                  ' for=192.0.2.1;host="a.example:8443";proto=https,'
                  ' for=10.0.0.1;host=inside;proto=http',
                  **TRUST, trusted_proxy_headers='forwarded')
    assert found['HTTP_HOST'] == 'a.example:8443'
    assert found['wsgi.url_scheme'] == 'https'
    assert found['SERVER_PORT'] == '8443'
    assert 'evil' not in found['HTTP_FORWARDED']


def test_with_a_count_the_first_of_the_proxies_is_believed() -> None:
    found = asked('X-Forwarded-Host: evil.example, a.example, inside\n'
                  'X-Forwarded-For: 192.0.2.9, 192.0.2.1, 10.0.0.1',
                  **TRUST, trusted_proxy_headers=ALL, trusted_proxy_count=2)
    assert found['HTTP_HOST'] == 'a.example'
    assert found['HTTP_X_FORWARDED_HOST'] == 'a.example, inside'
    assert found['REMOTE_ADDR'] == '192.0.2.1'


def test_only_what_is_believed_is_handed_on() -> None:
    found = asked('X-Forwarded-For: evil, 192.0.2.1, 10.0.0.1', **TRUST)
    assert found['HTTP_X_FORWARDED_FOR'] == '192.0.2.1, 10.0.0.1'
    assert found['zope.server.peer'] == '127.0.0.1'


SPOOFED = ('X-Forwarded-For: 10.0.0.1\nX-Forwarded-Proto: https\n'
           'X-Forwarded-Host: evil.example\nX-Forwarded-Port: 1\n'
           'X-Forwarded-By: 10.0.0.1\n'
           'Forwarded: for=10.0.0.1;proto=https;host=evil.example')


@pytest.mark.parametrize('headers', ['', ALL, 'forwarded', 'x-forwarded-by'])
def test_other_peers_are_not_believed(headers: str) -> None:
    with serving(environ, trusted_proxy='10.0.0.0/8, ::1',
                 trusted_proxy_headers=headers) as server, (
            Client(server.address)) as client:
        response = client.get(fields=SPOOFED.replace(
            '\n', '\r\n').encode() + b'\r\n')
        found = ast.literal_eval(response.body.decode())
        assert server.statistics().removed_fields == 6
    assert not [key for key in found if 'FORWARDED' in key]
    assert found['REMOTE_ADDR'] == found['zope.server.peer'] == '127.0.0.1'
    assert found['REMOTE_PORT']
    assert found['HTTP_HOST'] == 'example.com'
    assert found['wsgi.url_scheme'] == 'http'


def test_a_trusted_proxy_is_believed_in_what_is_named_alone() -> None:
    """It hands on what clients send, unless it is told to set it."""
    found = asked(SPOOFED, **TRUST)
    assert found['HTTP_HOST'] == 'example.com'
    assert found['wsgi.url_scheme'] == 'https'
    assert [key for key in found if 'FORWARDED' in key] == [
        'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO']


def test_without_a_trusted_proxy_the_fields_are_handed_on() -> None:
    found = asked(SPOOFED)
    assert len([key for key in found if 'FORWARDED' in key]) == 6
    assert 'zope.server.peer' not in found
    assert found['wsgi.url_scheme'] == 'http'


def test_each_request_of_a_connection_has_its_own_client() -> None:
    with serving(environ, **TRUST) as server, (
            Client(server.address)) as client:
        client.send(b''.join(get(b'X-Forwarded-For: 192.0.2.%d\r\n' % each)
                             for each in range(5)) + get())
        found = [ast.literal_eval(client.response().body.decode())
                 for _ in range(6)]
    assert [each['REMOTE_ADDR'] for each in found] == [
        *(f'192.0.2.{each}' for each in range(5)), '127.0.0.1']
    assert [('REMOTE_PORT' in each) for each in found] == [False] * 5 + [True]


def test_many_clients_of_a_proxy() -> None:
    """More than are remembered, and each again."""
    proxies = Proxies(Settings(**TRUST))
    for _ in range(2):
        for number in range(FIELDS_CACHED + 100):
            address = f'192.0.{number // 250}.{number % 250}'
            request = Request({'HTTP_X_FORWARDED_FOR': address}, 'GET', 1)
            proxies.apply(request, True, None)
            assert request.environ['REMOTE_ADDR'] == address
    assert len(proxies._cache) <= FIELDS_CACHED


def test_a_large_body_has_its_client() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response('200 OK', PLAIN)
        environ['wsgi.input'].read()
        return [environ['REMOTE_ADDR'].encode()]
    with serving(application, **TRUST, body_memory=200_000,
                 body_spool_size=100_000) as server, (
            Client(server.address)) as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4'
                    b'\r\nContent-Length: 90000\r\n\r\n' + b'x' * 90_000)
        assert client.response().body == b'1.2.3.4'


def test_why_a_request_is_refused_is_logged(
        caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert asked('X-Forwarded-For: bad\x01'.replace('\x01', '<'),
                     **TRUST)['status'] == 400
    assert ('a request from 127.0.0.1 is refused with 400: The'
            ' X-Forwarded-For field is malformed.') in caplog.text
    assert 'bad<' not in caplog.text


def test_the_access_log_shows_the_client_and_the_peer(
        tmp_path: Path) -> None:
    path = tmp_path / 'access.log'
    with serving(hello, **TRUST, access_log=str(path)) as server, (
            Client(server.address)) as client:
        client.get(fields=b'X-Forwarded-For: 192.0.2.1\r\n')
        client.get()
        client.get(fields=b'X-Forwarded-For: x y\r\n')
    first, second, refused = path.read_text().splitlines()
    assert first.startswith('192.0.2.1 - - [')
    assert first.endswith(' 127.0.0.1')
    assert second.startswith('127.0.0.1 - - [')
    assert second.endswith(' 127.0.0.1')
    assert refused.startswith('127.0.0.1 - - [')
    assert refused.endswith('" 400 40 "-" "-" 0 127.0.0.1')


@pytest.mark.parametrize('target, path', [
    (b'/app', ''), (b'/app/', '/'), (b'/app/x/y?/app', '/x/y'),
    (b'/%61pp/x', '/x'), (b'/app/a%2Fb%20c', '/a/b c'),
    (b'/app%2Fx', '/app/x'), (b'/application', '/application'),
    (b'/x', '/x'), (b'/', '/'), (b'/app//x', '//x'), (b'//app/x', '//app/x'),
    (b'http://example.com/app/x', '/x'), (b'/app/%E2%82%AC', '/\xe2\x82\xac'),
    (b'/app/100%', '/100%'),
])
def test_a_prefix_is_taken_from_the_path(target: bytes, path: str) -> None:
    found = asked('', target, url_prefix='/app')
    assert (found['SCRIPT_NAME'], found['PATH_INFO']) == ('/app', path)
    assert 'zope.server.peer' not in found


def test_a_prefix_of_two_segments() -> None:
    assert asked('', b'/a/b/c', url_prefix='/a/b')['PATH_INFO'] == '/c'
    assert asked('', b'/a%2Fb/c', url_prefix='/a/b')['PATH_INFO'] == '/a/b/c'
    assert asked('', b'/a', url_prefix='/a/b')['PATH_INFO'] == '/a'
    assert asked('', b'/a/b', url_prefix='/a/b')['PATH_INFO'] == ''


def test_options_of_the_server_have_no_path() -> None:
    with serving(environ, url_prefix='/app') as server, (
            Client(server.address)) as client:
        client.send(b'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')
        found = ast.literal_eval(client.response().body.decode())
    assert found['PATH_INFO'] == ''


def test_a_scheme_for_proxies_that_tell_none() -> None:
    assert asked('', url_scheme='https')['wsgi.url_scheme'] == 'https'
    found = asked('X-Forwarded-Proto: http', **TRUST, url_scheme='https')
    assert found['wsgi.url_scheme'] == 'http'
    found = asked('X-Forwarded-For: 192.0.2.1', **TRUST, url_scheme='https')
    assert found['wsgi.url_scheme'] == 'https'


@pytest.mark.parametrize('options, problem', [
    ({'trusted_proxy': '*'}, "option 'trusted_proxy': '*' is not"),
    ({'trusted_proxy': 'localhost'}, "'localhost' is not an IP address"),
    ({'trusted_proxy': '10.0.0.1/8'}, "'10.0.0.1/8' is not"),
    ({'trusted_proxy': '10.0.0.1,'}, "'' is not"),
    ({'trusted_proxy': '::1', 'trusted_proxy_headers': 'x-real-ip'},
     "'x-real-ip' is not one of x-forwarded-for"),
    ({'trusted_proxy': '::1', 'trusted_proxy_headers':
      'forwarded, x-forwarded-for'}, 'is not forwarded alone'),
    ({'trusted_proxy_headers': 'forwarded'},
     "option 'trusted_proxy_headers': without 'trusted_proxy'"),
    ({'proxy_protocol': 'yes'},
     "option 'proxy_protocol': without 'trusted_proxy'"),
    ({'trusted_proxy_count': '2'},
     "option 'trusted_proxy_count': without 'trusted_proxy'"),
    ({'url_scheme': 'ftp'}, "'ftp' is not http or https"),
    ({'url_prefix': 'app'}, "'app' is not a URL path"),
    ({'url_prefix': '/a/../b'}, 'is not a URL path'),
    ({'url_prefix': '/a%2Fb'}, 'is not a URL path'),
    ({'url_prefix': '//a'}, 'is not a URL path'),
])
def test_what_options_refuse(options: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        run(hello, {}, **options)
    assert problem in str(caught.value)


def test_settings_without_a_trusted_proxy_are_refused() -> None:
    with pytest.raises(SettingsError, match="setting 'proxy_protocol'"):
        Settings(proxy_protocol=True)
    assert Settings(url_prefix='/app').url_prefix == '/app'


# Chains that hypothesis makes.

TRUSTED = st.sampled_from(['127.0.0.1', '10.0.0.1', '10.255.0.7', 'fd00::1'])
CLIENTS = st.sampled_from(['192.0.2.1', '2001:db8::7', '198.51.100.200'])
NOISE = st.text(st.characters(min_codepoint=32, max_codepoint=255,
                              exclude_characters='\x7f'), max_size=30)


def applied(fields: dict[str, str], **options: Any) -> dict[str, Any]:
    """Return an environment with which `Proxies` is done."""
    request = Request({'REMOTE_ADDR': '127.0.0.1', 'REMOTE_PORT': '1',
                       'wsgi.url_scheme': 'http', 'HTTP_HOST': 'example.com',
                       **fields}, 'GET', 1)
    Proxies(Settings(**{**TRUST, **options})).apply(
        request, True, None)
    return request.environ


def in_brackets(address: str) -> str:
    """Return an address as the Forwarded field has it."""
    return f'"[{address}]"' if ':' in address else address


@given(NOISE, CLIENTS, st.lists(TRUSTED, max_size=5))
@example('"', '192.0.2.1', [])
@example('10.0.0.1, ', '192.0.2.1', ['10.0.0.1'])
def test_no_client_can_hide_behind_what_it_sends(
        noise: str, client: str, proxies: list[str]) -> None:
    chain = [client, *proxies]
    value = ', '.join([noise, *chain])
    found = applied({'HTTP_X_FORWARDED_FOR': value})
    assert found['REMOTE_ADDR'] == client
    assert found['HTTP_X_FORWARDED_FOR'] == ', '.join(chain)
    value = ', '.join([noise, *(f'for={in_brackets(each)}'
                                for each in chain)])
    try:
        found = applied({'HTTP_FORWARDED': value},
                        trusted_proxy_headers='forwarded')
    except HTTPError as error:
        assert error.status == 400
    else:
        assert found['REMOTE_ADDR'] == client


@given(st.lists(NOISE, max_size=3).map(', '.join), st.integers(0, 3))
@settings(max_examples=3 * settings.default.max_examples)
def test_nothing_but_a_refusal_is_raised(value: str, count: int) -> None:
    for names, keys in {'forwarded': ['HTTP_FORWARDED'], ALL: [
            'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PROTO',
            'HTTP_X_FORWARDED_HOST', 'HTTP_X_FORWARDED_PORT']}.items():
        for key in keys:
            try:
                found = applied({key: value}, trusted_proxy_headers=names,
                                trusted_proxy_count=count)
            except HTTPError as error:
                assert error.status == 400
            else:
                assert found['wsgi.url_scheme'] in ('http', 'https')
                assert found['REMOTE_ADDR'].isprintable()
                assert ' ' not in found['REMOTE_ADDR']


@given(st.lists(st.tuples(CLIENTS, st.sampled_from(['', 'http', 'https']),
                          st.sampled_from(['', 'a.example', 'b:81'])),
                min_size=1, max_size=5))
def test_elements_are_found_as_they_were_written(
        written: list[tuple[str, str, str]]) -> None:
    texts = [';'.join([f'for={in_brackets(client)}',
                       *([f'proto={scheme}'] if scheme else ()),
                       *([f'host="{host}"'] if host else ())])
             for client, scheme, host in written]
    found = parse_forwarded(' , '.join(texts))
    assert [each.text for each in found] == texts
    assert [(each.client and each.client.address, each.scheme, each.host)
            for each in found] == written


def test_a_long_field_is_read_in_one_go() -> None:
    for value in ('for=10.0.0.1,' * 5000, 'for="' + '\\"' * 30_000,
                  ';' * 60_000, ',' * 60_000, 'a="' * 20_000):
        try:
            parse_forwarded(value)
        except HTTPError as error:
            assert error.status == 400


@given(st.ip_addresses(network='10.0.0.0/8') | st.ip_addresses())
def test_networks_have_the_addresses_that_are_in_them(address: Any) -> None:
    inside = address.version == 4 and address.packed[0] == 10
    assert (str(address) in Networks('10.0.0.0/8')) == inside
    if address.version == 4:
        assert (f'::ffff:{address}' in Networks('10.0.0.0/8')) == inside
