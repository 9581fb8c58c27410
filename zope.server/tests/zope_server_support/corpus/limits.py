"""Cases of limits, which are smaller than the defaults: see `SETTINGS`."""
from __future__ import annotations

from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good
from zope_server_support.corpus.case import in_chunks
from zope_server_support.corpus.case import post

SETTINGS = {'max_request_line': 2000, 'max_request_header_size': 8000,
            'max_request_fields': 50, 'max_request_body_size': 2_000_000,
            'max_chunk_framing': 2000}
FIELD = b'X-Foo: ' + b'a' * 991 + b'\r\n'
TRAILERS = [b'X-%d: a\r\n' % number for number in range(51)]

CASES = (
    good('a long target', get(target=b'/' + b'a' * 1900),
         'GET /' + 'a' * 1900),
    good('as long a request line as may be', get(target=b'/' + b'a' * 1986),
         'GET /' + 'a' * 1986),
    bad('too long a request line', get(target=b'/' + b'a' * 1987), 414),
    bad('too long a request line, in pieces',
        (b'GET /' + b'a' * 1986, b'a HTTP/1.1\r', b'\n'), 414),
    bad('too long a request line without what follows',
        b'GET /' + b'a' * 1987 + b' HTTP/1.1\r\n', 414),
    bad('a target without an end', b'GET /' + b'a' * 3000, 414, severe=True),
    bad('a target without an end, in pieces', (b'GET /',) + (b'a' * 100,) * 25,
        414, severe=True),
    good('a long header', get(FIELD * 7), 'GET /'),
    bad('too long a header', get(FIELD * 8), 431),
    bad('too long a header field', get(b'X-Foo: ' + b'a' * 9000 + b'\r\n'),
        431),
    bad('a header without an end', get()[:-2] + FIELD * 9, 431, severe=True),
    bad('a header without an end, in pieces',
        (get()[:-2],) + (FIELD,) * 8, 431, severe=True),
    bad('a header without a line end', b'GET / HTTP/1.1\r\n' + b'a' * 9000,
        431, severe=True),
    good('many fields', get(b'X: a\r\n' * 49), 'GET /'),
    bad('too many fields', get(b'X: a\r\n' * 50), 431),
    good('a long body', post(b'Content-Length: 1999999\r\n', b'a' * 1999999),
         'POST / ' + 'a' * 1999999),
    bad('too long a body', post(b'Content-Length: 2000001\r\n'), 413),
    bad('a body of exabytes',
        post(b'Content-Length: 9223372036854775807\r\n'), 413, severe=True),
    good('long chunks', in_chunks(
        b'%x\r\n%b\r\n0\r\n\r\n' % (1999999, b'a' * 1999999)),
        'POST / ' + 'a' * 1999999),
    bad('too long chunks', in_chunks(
        b'%x\r\n%b\r\n0\r\n\r\n' % (2000001, b'a' * 2000001)), 413),
    bad('too many chunks', in_chunks(
        b'30d40\r\n%b\r\n' % (b'a' * 200000) * 11 + b'0\r\n\r\n'), 413),
    good('many small chunks', in_chunks(
        b'1\r\na\r\n' * 2000 + b'0\r\n\r\n'), 'POST / ' + 'a' * 2000),
    bad('too long a chunk extension', in_chunks(
        b'5;a=' + b'b' * 5000 + b'\r\nhello\r\n0\r\n\r\n'), severe=True),
    bad('a chunk extension without an end', in_chunks(b'5;' + b'a' * 5000),
        severe=True),
    bad('a chunk size of many zeros', in_chunks(
        b'0' * 5000 + b'5\r\nhello\r\n0\r\n\r\n'), severe=True),
    bad('too many chunk extensions', in_chunks(
        (b'1;' + b'a' * 100 + b'\r\na\r\n') * 50 + b'0\r\n\r\n'),
        severe=True),
    bad('a chunk extension for which small chunks have made room', in_chunks(
        b'1\r\na\r\n' * 1000 + b'1;' + b'a' * 5000), severe=True),
    bad('trailers for which small chunks have made room', in_chunks(
        b'1\r\na\r\n' * 1000 + b'0\r\nX: ' + b'a' * 5000), severe=True),
    good('many trailers', in_chunks(
        b'5\r\nhello\r\n0\r\n' + b''.join(TRAILERS[:50]) + b'\r\n'),
        'POST / hello'),
    bad('too many trailers', in_chunks(
        b'5\r\nhello\r\n0\r\n' + b''.join(TRAILERS) + b'\r\n'), 431),
    bad('too long a trailer', in_chunks(
        b'5\r\nhello\r\n0\r\nX: ' + b'a' * 5000 + b'\r\n\r\n')),
    bad('a trailer without an end', in_chunks(
        b'5\r\nhello\r\n0\r\nX: ' + b'a' * 5000), severe=True),
)
