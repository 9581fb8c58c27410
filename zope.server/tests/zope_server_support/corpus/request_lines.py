"""Cases of request lines: methods, versions, spaces."""
from __future__ import annotations

from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import HOST
from zope_server_support.corpus.case import NEXT
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good


def line(text: bytes, fields: bytes = HOST) -> bytes:
    """Return a request with this request line."""
    return text + b'\r\n' + fields + b'\r\n'


METHODS = ('PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT',
           'MKCALENDAR', 'M-SEARCH', 'PURGE', 'PUSH', 'VERSION-CONTROL',
           'UPDATE', 'LABEL', 'BASELINE-CONTROL', 'MKREDIRECTREF',
           'MKWORKSPACE', 'ORDERPATCH', 'UNCHECKOUT', 'UPDATEREDIRECTREF',
           'DESCRIBE', 'BREW', 'get', 'Get', "!#$%&'*+-.^_`|~09", 'A' * 100)

CASES = (
    good('GET', get(), 'GET /'),
    good('GET twice', (get(), get()), 'GET /', 'GET /'),
    Case('HEAD', (line(b'HEAD / HTTP/1.1'),), (200,), ('HEAD /',),
         bodies=(b'',)),
    *(good(f'method {method}', line(method.encode() + b' / HTTP/1.1'),
           f'{method} /') for method in METHODS),
    good('method unknown, with a body',
         line(b'PUSH / HTTP/1.1', HOST + b'Content-Length: 5\r\n') + b'hello'
         + NEXT, 'PUSH / hello', 'GET /next', severe=True),
    good('method unknown, with chunks',
         line(b'PUSH / HTTP/1.1', HOST + b'Transfer-Encoding: chunked\r\n')
         + b'5\r\nhello\r\n0\r\n\r\n' + NEXT, 'PUSH / hello', 'GET /next',
         severe=True),
    good('method unknown, without a body',
         line(b'PUSH / HTTP/1.1') + NEXT, 'PUSH /', 'GET /next', severe=True),
    good('method unknown in 1.0', line(b'PUSH / HTTP/1.0'), 'PUSH /',
         ends=CLOSED, environ={'SERVER_PROTOCOL': 'HTTP/1.0'}),
    bad('method unknown, with a malformed field',
        line(b'PUSH / HTTP/1.1', HOST + b'X Foo: a\r\n')),
    bad('method PRI in 1.1', line(b'PRI / HTTP/1.1'), 501),
    bad('method CONNECT', line(b'CONNECT example.com:443 HTTP/1.1'), 501),
    bad('method PRI', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505),
    bad('method with NUL', line(b'GE\0T / HTTP/1.1')),
    bad('method with colon', line(b'GET: / HTTP/1.1')),
    bad('method with parenthesis', line(b'GET( / HTTP/1.1')),
    bad('method empty', line(b' / HTTP/1.1')),
    bad('method not ASCII', line(b'G\xc3\x89T / HTTP/1.1')),
    good('version 1.0', line(b'GET / HTTP/1.0'), 'GET /', ends=CLOSED,
         environ={'SERVER_PROTOCOL': 'HTTP/1.0'}),
    good('version 1.0 without Host', line(b'GET / HTTP/1.0', b''), 'GET /',
         ends=CLOSED),
    good('version 1.1', get(), 'GET /',
         environ={'SERVER_PROTOCOL': 'HTTP/1.1'}),
    bad('version 0.9', b'GET /\r\n\r\n'),
    bad('version 0.9 by name', line(b'GET / HTTP/0.9'), 505),
    good('version 1.2', line(b'GET / HTTP/1.2') + NEXT, 'GET /', 'GET /next',
         environ={'SERVER_PROTOCOL': 'HTTP/1.1'}),
    good('version 1.9 with a body',
         line(b'POST / HTTP/1.9', HOST + b'Content-Length: 5\r\n')
         + b'hello' + NEXT, 'POST / hello', 'GET /next', severe=True),
    bad('version 1.2 without Host', line(b'GET / HTTP/1.2', b'')),
    bad('version 2.0', line(b'GET / HTTP/2.0'), 505),
    bad('version 2', line(b'GET / HTTP/2'), 505),
    bad('version 3.0', line(b'GET / HTTP/3.0'), 505),
    bad('version 1.10', line(b'GET / HTTP/1.10')),
    bad('version 11.1', line(b'GET / HTTP/11.1')),
    bad('version 01.1', line(b'GET / HTTP/01.1')),
    bad('version 1', line(b'GET / HTTP/1'), 505),
    bad('version 1.', line(b'GET / HTTP/1.')),
    bad('version empty', line(b'GET / HTTP/')),
    bad('version in lower case', line(b'GET / http/1.1')),
    bad('version of another protocol', line(b'GET / RTSP/1.0')),
    bad('version with a comma', line(b'GET / HTTP/1,1')),
    bad('version with letters behind', line(b'GET / HTTP/1.1x')),
    bad('version -1.1', line(b'GET / HTTP/-1.1')),
    bad('two spaces before the target', line(b'GET  / HTTP/1.1')),
    bad('two spaces behind the target', line(b'GET /  HTTP/1.1')),
    bad('a tab before the target', line(b'GET\t/ HTTP/1.1')),
    bad('a tab behind the target', line(b'GET /\tHTTP/1.1')),
    bad('a space behind the version', line(b'GET / HTTP/1.1 ')),
    bad('a space before the method', line(b' GET / HTTP/1.1')),
    bad('words behind the version', line(b'GET / HTTP/1.1 HTTP/1.1')),
    bad('a vertical tab', line(b'GET /\x0bHTTP/1.1')),
    bad('a carriage return', line(b'GET /\rHTTP/1.1'), severe=True),
    bad('the line ends in LF', b'GET / HTTP/1.1\n' + HOST + b'\r\n',
        severe=True),
    bad('the line ends in CR', b'GET / HTTP/1.1\r' + HOST + b'\r\n',
        severe=True),
    bad('lines end in CR, and nothing more',
        b'GET / HTTP/1.1\rHost: example.com\r\r', severe=True),
    bad('a line ends in CR, in pieces', (b'GET / HTTP/1.1\r', b'Host:'),
        severe=True),
    bad('a field ends in CR, and nothing more',
        b'GET / HTTP/1.1\r\nHost: example.com\rX: y', severe=True),
    bad('the line ends in CR CR LF', b'GET / HTTP/1.1\r\r\n' + HOST + b'\r\n'),
    good('an empty line before', b'\r\n' + get(), 'GET /'),
    good('empty lines before', b'\r\n' * 20 + get(), 'GET /'),
    good('an empty line in pieces before', (b'\r', b'\n', get()), 'GET /'),
    good('an empty line between', get() + b'\r\n' + NEXT, 'GET /',
         'GET /next'),
    bad('an LF before', b'\n' + get()),
    bad('a CR before', b'\r' + get()),
    bad('a TLS greeting',
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'),
    bad('the beginning of a TLS greeting',
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
    bad('the greeting of a ZooKeeper client',
        b'\0\0\0\x2d' + b'\0' * 14 + b'\x27\x10' + b'\0' * 29),
    bad('nothing but zeros', b'\0' * 200 + b'\r\n\r\n'),
    bad('another language', b'EHLO example.com\r\n\r\n'),
    good('a byte at a time', tuple(bytes([byte]) for byte in get()),
         'GET /'),
)
