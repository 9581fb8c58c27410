"""Cases of header fields: names, values, Host, dropped and joined."""
from __future__ import annotations

from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good


def found(name: str, fields: bytes, **environ: str | None) -> Case:
    """Return a case in which the fields become this environment."""
    return good(f'field {name}', get(fields), 'GET /', environ=environ)


def broken(name: str, fields: bytes, **more: bool) -> Case:
    """Return a case in which the fields are refused."""
    return bad(f'field {name}', get(fields), **more)


def host(name: str, fields: bytes, version: bytes = b'1.1') -> bytes:
    """Return a request with these fields only."""
    return b'GET / HTTP/%b\r\n%b\r\n' % (version, fields)


def good_host(value: bytes) -> Case:
    """Return a case in which this host is accepted."""
    return good(f'host {value!r}', b'GET / HTTP/1.1\r\nHost: %b\r\n\r\n'
                % value, 'GET /', environ={'HTTP_HOST': value.decode()})


def bad_host(name: str, fields: bytes, version: bytes = b'1.1') -> Case:
    """Return a case in which the fields lack a valid Host."""
    return bad(f'host {name}', b'GET / HTTP/%b\r\n%b\r\n' % (version, fields))


CASES = (
    found('plain', b'X-Foo: bar\r\n', HTTP_X_FOO='bar'),
    found('in lower case', b'x-foo: bar\r\n', HTTP_X_FOO='bar'),
    found('without a space', b'X-Foo:bar\r\n', HTTP_X_FOO='bar'),
    found('with spaces around', b'X-Foo: \t bar \t \r\n', HTTP_X_FOO='bar'),
    found('with spaces within', b'X-Foo: a  b\tc\r\n',
          HTTP_X_FOO='a  b\tc'),
    found('with a colon', b'X-Foo: a:b: c\r\n', HTTP_X_FOO='a:b: c'),
    found('with an empty value', b'X-Foo:\r\n', HTTP_X_FOO=''),
    found('of blanks', b'X-Foo:   \r\n', HTTP_X_FOO=''),
    found('in latin-1', b'X-Foo: \xe9\r\n', HTTP_X_FOO='\xe9'),
    found('in UTF-8', b'X-Foo: \xc3\xa9\r\n', HTTP_X_FOO='\xc3\xa9'),
    found('with odd letters in its name', b"X!#$%&'*+.^`|~1: a\r\n"),
    found('Content-Type', b'Content-Type: text/plain\r\n',
          CONTENT_TYPE='text/plain', HTTP_CONTENT_TYPE=None),
    found('content-type', b'content-type: text/plain\r\n',
          CONTENT_TYPE='text/plain'),
    found('no Content-Type', b'', CONTENT_TYPE=None, CONTENT_LENGTH=None),
    found('Connection', b'Connection: keep-alive\r\n',
          HTTP_CONNECTION='keep-alive'),
    found('Authorization', b'Authorization: Basic YTpi\r\n',
          HTTP_AUTHORIZATION='Basic YTpi'),
    found('twice', b'X-Foo: a\r\nX-Foo: b\r\n', HTTP_X_FOO='a, b'),
    found('twice in other letters', b'X-Foo: a\r\nx-FOO: b\r\n',
          HTTP_X_FOO='a, b'),
    found('Cookie twice', b'Cookie: a=b\r\nCookie: c=d\r\n',
          HTTP_COOKIE='a=b; c=d'),
    found('Accept twice', b'Accept: a/b\r\nAccept: c/d\r\n',
          HTTP_ACCEPT='a/b, c/d'),
    found('with an underscore', b'X_Foo: a\r\n', HTTP_X_FOO=None),
    found('with an underscore beside one without',
          b'X-Remote-User: a\r\nX_Remote_User: admin\r\n',
          HTTP_X_REMOTE_USER='a'),
    found('with an underscore before one without',
          b'X_Remote_User: admin\r\nX-Remote-User: a\r\n',
          HTTP_X_REMOTE_USER='a'),
    found('Content_Type', b'Content_Type: text/evil\r\n', CONTENT_TYPE=None),
    found('Proxy', b'Proxy: http://evil.example\r\n', HTTP_PROXY=None),
    found('PROXY', b'PROXY: http://evil.example\r\n', HTTP_PROXY=None),
    found('Upgrade, which we do not',
          b'Connection: upgrade\r\nUpgrade: h2c\r\n', HTTP_UPGRADE='h2c'),
    broken('Content-Type twice',
           b'Content-Type: a/b\r\nContent-Type: c/d\r\n'),
    broken('with a space before the colon', b'X-Foo : a\r\n', severe=True),
    broken('with a tab before the colon', b'X-Foo\t: a\r\n', severe=True),
    broken('with a space before the name', b' X-Foo: a\r\n', severe=True),
    broken('folded', b'X-Foo: a\r\n b\r\n', severe=True),
    broken('folded with a tab', b'X-Foo: a\r\n\tb\r\n', severe=True),
    broken('without a colon', b'X-Foo\r\n'),
    broken('without a name', b': a\r\n'),
    broken('with a space in its name', b'X Foo: a\r\n', severe=True),
    broken('with NUL in its name', b'X\0Foo: a\r\n'),
    broken('with a control character in its name', b'X\x01Foo: a\r\n'),
    broken('with a quote in its name', b'X"Foo: a\r\n'),
    broken('with a parenthesis in its name', b'X(Foo): a\r\n'),
    broken('not ASCII in its name', b'X-\xe9: a\r\n'),
    broken('with NUL', b'X-Foo: a\0b\r\n', severe=True),
    broken('with a control character', b'X-Foo: a\x01b\r\n'),
    broken('with DEL', b'X-Foo: a\x7fb\r\n'),
    broken('with a vertical tab', b'X-Foo: a\x0bb\r\n'),
    broken('with CR', b'X-Foo: a\rb\r\n', severe=True),
    broken('with CR that hides another', b'X-Foo: a\rX-Bar: b\r\n',
           severe=True),
    broken('ended by LF', b'X-Foo: a\nX-Bar: b\r\n', severe=True),
    broken('ended by CR CR LF', b'X-Foo: a\r\r\n', severe=True),
    bad('field ended by LF before the end',
        b'GET / HTTP/1.1\r\nHost: example.com\n\r\n', severe=True),
    bad('fields ended by LF LF in front of another request',
        b'GET / HTTP/1.1\r\nHost: example.com\n\nGET /smuggled HTTP/1.1\r\n'
        b'Host: example.com\r\n\r\n', severe=True, lacks=(b'smuggled',)),
    good_host(b'example.com'),
    good_host(b'example.com:8080'),
    good_host(b'example.com:'),
    good_host(b'192.0.2.1:80'),
    good_host(b'[2001:db8::1]'),
    good_host(b'[2001:db8::1]:443'),
    good_host(b'under_score.example'),
    good_host(b'xn--bcher-kva.example'),
    good_host(b''),
    bad_host('missing', b''),
    bad_host('twice', b'Host: a.example\r\nHost: b.example\r\n'),
    bad_host('twice the same', b'Host: a.example\r\nhost: a.example\r\n'),
    bad_host('twice in 1.0', b'Host: a.example\r\nHost: b.example\r\n',
             b'1.0'),
    bad_host('with a space', b'Host: a b\r\n'),
    bad_host('with a slash', b'Host: a/b\r\n'),
    bad_host('with a question mark', b'Host: a?b\r\n'),
    bad_host('with credentials', b'Host: user@a.example\r\n'),
    bad_host('with a comma', b'Host: a.example,b.example\r\n'),
    bad_host('with a bad port', b'Host: a.example:x\r\n'),
    bad_host('with two ports', b'Host: a.example:80:80\r\n'),
    bad_host('with half a bracket', b'Host: [::1\r\n'),
    bad_host('with angle brackets', b'Host: <script>\r\n'),
    bad_host('with a quote', b'Host: a"b\r\n'),
    bad_host('with a bad escape', b'Host: a%zz\r\n'),
    bad_host('not ASCII', b'Host: \xe9.example\r\n'),
    bad_host('malformed in 1.0', b'Host: a/b\r\n', b'1.0'),
    good('host missing in 1.0', b'GET / HTTP/1.0\r\n\r\n', 'GET /',
         ends=CLOSED, environ={'HTTP_HOST': None}),
)
