"""Cases that were reported against waitress, which has the same ancestor.

The names are those of the advisories.  Each is a way to make two servers
disagree about where a request ends, or to exhaust a server.
"""
from __future__ import annotations

from zope_server_support.corpus.case import HOST
from zope_server_support.corpus.case import NEXT
from zope_server_support.corpus.case import SMUGGLED
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good
from zope_server_support.corpus.case import in_chunks
from zope_server_support.corpus.case import post

HELLO = b'5\r\nhello\r\n0\r\n\r\n'


def refused(name: str, send: bytes, status: int = 400) -> Case:
    """Return a case in which nothing reaches the application."""
    return bad(name, send, status, lacks=(b'smuggled',), severe=True)


def filling(size: int) -> bytes:
    """Return a bad request of this size in bytes."""
    request = get(b'X : %b\r\n')
    return request % (b'a' * (size - len(request) + 2))


CASES = (
    # A lone LF ended a line.
    refused('CVE-2019-16785 a length behind LF',
            b'GET / HTTP/1.1\r\n' + HOST + b'X-Foo: a\nContent-Length: 47\r\n'
            b'\r\n' + SMUGGLED),
    refused('CVE-2019-16785 a coding behind LF',
            b'POST / HTTP/1.1\r\n' + HOST + b'Content-Length: 5\r\n'
            b'X-Foo: a\nTransfer-Encoding: chunked\r\n\r\n' + HELLO
            + SMUGGLED),
    refused('CVE-2019-16785 a head of LF only',
            b'GET / HTTP/1.1\nHost: example.com\n\n' + SMUGGLED),
    # Codings other than exactly "chunked" were ignored, and the length used.
    refused('CVE-2019-16786 gzip, chunked',
            post(b'Transfer-Encoding: gzip, chunked\r\n', HELLO + SMUGGLED),
            501),
    refused('CVE-2019-16786 gzip, chunked and a length',
            post(b'Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n',
                 HELLO + SMUGGLED)),
    refused('CVE-2019-16786 cow',
            post(b'Transfer-Encoding: cow\r\n', HELLO + SMUGGLED)),
    # Odd white space before "chunked" was taken for none, or for another
    # coding.
    refused('CVE-2019-16789 a vertical tab',
            post(b'Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n',
                 HELLO + SMUGGLED)),
    refused('CVE-2019-16789 a vertical tab, no length',
            post(b'Transfer-Encoding: \x0bchunked\r\n', HELLO + SMUGGLED)),
    refused('CVE-2019-16789 a form feed',
            post(b'Transfer-Encoding: \x0cchunked\r\n', HELLO + SMUGGLED)),
    refused('CVE-2019-16789 a unit separator',
            post(b'Transfer-Encoding: \x1fchunked\r\n', HELLO + SMUGGLED)),
    refused('CVE-2019-16789 a no-break space',
            post(b'Transfer-Encoding: \xa0chunked\r\n', HELLO + SMUGGLED)),
    # Two lengths were joined, could not be read, and counted as 0.
    refused('CVE-2019-16792 two lengths',
            post(b'Content-Length: 47\r\nContent-Length: 47\r\n', SMUGGLED)),
    refused('CVE-2019-16792 two other lengths',
            post(b'Content-Length: 0\r\nContent-Length: 47\r\n', SMUGGLED)),
    # An expression for header fields took exponential time.
    refused('CVE-2020-5236 control characters',
            get(b'Foo: ' + b'\x10' * 100 + b'\r\n') + SMUGGLED),
    good('CVE-2020-5236 blanks', get(b'Foo: a' + b' \t' * 3000 + b'b\r\n'),
         'GET /'),
    # Chunk sizes, extensions and lengths were read with int().
    refused('CVE-2022-24761 a chunk size with 0x',
            in_chunks(b'0x5\r\nhello\r\n0\r\n\r\n' + SMUGGLED)),
    refused('CVE-2022-24761 a chunk size with +',
            in_chunks(b'+5\r\nhello\r\n0\r\n\r\n' + SMUGGLED)),
    refused('CVE-2022-24761 a length with +',
            post(b'Content-Length: +5\r\n', b'hello' + SMUGGLED)),
    refused('CVE-2022-24761 a length with an underscore',
            post(b'Content-Length: 1_0\r\n', b'hellohello' + SMUGGLED)),
    refused('CVE-2022-24761 LF in a chunk extension',
            in_chunks(b'5;\nxx\r\nhello\r\n0\r\n\r\n' + SMUGGLED)),
    refused('CVE-2022-24761 a NUL in a chunk extension',
            in_chunks(b'5;\0\r\nhello\r\n0\r\n\r\n' + SMUGGLED)),
    refused('CVE-2022-24761 other bytes behind a chunk',
            in_chunks(b'5\r\nhelloAA\r\n0\r\n\r\n' + SMUGGLED)),
    # A bad request that filled a read exactly was answered, and the request
    # behind it nevertheless run.
    *(bad(f'CVE-2024-49768 a bad request of {size} bytes',
          (filling(size), SMUGGLED), lacks=(b'smuggled',), severe=True)
      for size in (1024, 2048, 4096)),
    *(bad(f'CVE-2024-49768 a bad request of {size} bytes, at once',
          filling(size) + SMUGGLED, lacks=(b'smuggled',), severe=True)
      for size in (1024, 2048, 4096)),
    # A client that was gone before it was accepted kept the server busy:
    # see also test_resources.
    Case('CVE-2024-49769 gone at once', (), (), half_close=True,
         ends='closed'),
    # A body that comes in the pieces of the head was counted wrongly.
    good('a head and its body cut anywhere', tuple(
        (post(b'Content-Length: 5\r\n', b'hello') + NEXT)[start:start + 11]
        for start in range(0, 140, 11)), 'POST / hello', 'GET /next'),
)
