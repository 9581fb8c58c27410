"""Cases of targets: forms, escapes, paths as applications see them."""
from __future__ import annotations

from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good


def found(name: str, target: bytes, path: str, query: str = '',
          **environ: str | None) -> Case:
    """Return a case in which the target becomes this path and query."""
    environ = {'PATH_INFO': path, 'QUERY_STRING': query, 'SCRIPT_NAME': '',
               'REQUEST_URI': target.decode('latin-1'), **environ}
    seen = f'GET {path}' + (f'?{query}' if query else '')
    return good(f'target {name}', get(target=target), seen, environ=environ)


def broken(name: str, target: bytes, **more: bool) -> Case:
    """Return a case in which the target is refused."""
    return bad(f'target {name}', get(target=target), **more)


CASES = (
    found('/', b'/', '/'),
    found('with a query', b'/a/b?c=d&e', '/a/b', 'c=d&e'),
    found('with an empty query', b'/a?', '/a'),
    found('with two question marks', b'/a?b?c', '/a', 'b?c'),
    found('with a path parameter', b'/a;b=c', '/a;b=c'),
    found('with two slashes', b'//example.org/path', '//example.org/path'),
    found('with three slashes', b'///a', '///a'),
    found('with a colon', b'/a:b', '/a:b'),
    found('like an absolute one', b'/http://example.org/', '/http://'
          'example.org/'),
    found('with dots', b'/a/../b/./c', '/a/../b/./c'),
    found('with escapes', b'/a%20b%2Fc%3f', '/a b/c?'),
    found('with escaped UTF-8', b'/%c3%a9', '/\xc3\xa9'),
    found('with escaped latin-1', b'/%e9', '/\xe9'),
    found('with an escaped percent', b'/100%25', '/100%'),
    found('with a percent', b'/100%', '/100%'),
    found('with a malformed escape', b'/a%zz', '/a%zz'),
    found('with half an escape', b'/a%2', '/a%2'),
    found('with half an escape before a query', b'/a%2?b', '/a%2', 'b'),
    found('with escapes behind a percent', b'/%%20%u00e9%2f', '/% %u00e9/'),
    found('absolute with a percent', b'http://example.org/100%', '/100%',
          HTTP_HOST='example.org'),
    found('with escapes in the query', b'/?a=%20%zz%', '/', 'a=%20%zz%'),
    found('with a plus', b'/a+b', '/a+b'),
    found('absolute', b'http://example.org/a?b', '/a', 'b',
          HTTP_HOST='example.org'),
    found('absolute with a port', b'http://example.org:81/a', '/a',
          HTTP_HOST='example.org:81'),
    found('absolute without a path', b'http://example.org', '/',
          HTTP_HOST='example.org'),
    found('absolute with a query only', b'http://example.org?a=b', '/',
          'a=b', HTTP_HOST='example.org'),
    found('absolute with two slashes', b'http://example.org//a', '//a',
          HTTP_HOST='example.org'),
    found('absolute in capitals', b'HTTP://example.org/', '/',
          HTTP_HOST='example.org'),
    found('absolute with https', b'https://example.org/', '/',
          HTTP_HOST='example.org'),
    found('absolute with IPv6', b'http://[::1]:80/', '/',
          HTTP_HOST='[::1]:80'),
    Case('target *', (b'OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n',),
         (200,), ('OPTIONS ',), environ={'PATH_INFO': '',
                                         'REQUEST_URI': '*'}),
    broken('* with GET', b'*'),
    broken('without a slash', b'foo'),
    broken('of a query only', b'?a=b'),
    broken('of a fragment', b'#a'),
    broken('with a fragment', b'/a#b'),
    broken('absolute with a fragment', b'http://example.org/#b'),
    broken('absolute of another scheme', b'ftp://example.org/'),
    broken('absolute of a file', b'file:///etc/passwd'),
    broken('absolute without a host', b'http:///a'),
    broken('absolute with a port only', b'http://:80/a'),
    broken('absolute with credentials', b'http://user:pw@example.org/'),
    broken('absolute with half a bracket', b'http://[::1/'),
    broken('absolute with a bad port', b'http://example.org:http/'),
    broken('absolute with a malformed host', b'http://exa<mple.org/'),
    broken('like an authority', b'example.com:80'),
    broken('with a space', b'/a b'),
    broken('with a tab', b'/a\tb'),
    broken('with a control character', b'/a\x01b'),
    broken('with NUL', b'/a\0b'),
    broken('with DEL', b'/a\x7fb'),
    broken('not ASCII', b'/\xc3\xa9'),
    broken('with LF', b'/a\nb', severe=True),
    broken('with CR', b'/a\rb', severe=True),
)
