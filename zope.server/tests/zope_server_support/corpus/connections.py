"""Cases of connections: what keeps and ends them, pipelining, Expect."""
from __future__ import annotations

from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import HOST
from zope_server_support.corpus.case import NEXT
from zope_server_support.corpus.case import SMUGGLED
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good
from zope_server_support.corpus.case import post

OLD = b'GET / HTTP/1.0\r\n'
EXPECT = b'Expect: 100-continue\r\nContent-Length: 5\r\n'

CASES = (
    good('kept by default', get(), 'GET /', lacks=(b'Connection:',)),
    good('closed when asked', get(b'Connection: close\r\n'), 'GET /',
         ends=CLOSED, has=(b'Connection: close\r\n',)),
    good('closed when asked in capitals', get(b'Connection: CLOSE\r\n'),
         'GET /', ends=CLOSED),
    good('closed when asked among others',
         get(b'Connection: foo, close\r\n'), 'GET /', ends=CLOSED),
    good('closed when asked twice',
         get(b'Connection: keep-alive\r\nConnection: close\r\n'), 'GET /',
         ends=CLOSED),
    good('kept with a word that contains close',
         get(b'Connection: disclose\r\n'), 'GET /'),
    good('closed by default in 1.0', OLD + b'\r\n', 'GET /', ends=CLOSED),
    good('kept in 1.0 when asked', OLD + b'Connection: keep-alive\r\n\r\n',
         'GET /', has=(b'Connection: keep-alive\r\n',)),
    good('kept in 1.0 when asked in capitals',
         OLD + b'Connection: Keep-Alive\r\n\r\n', 'GET /'),
    good('nothing is answered behind a close',
         get(b'Connection: close\r\n') + SMUGGLED, 'GET /', ends=CLOSED,
         severe=True),
    good('pipelined', get(target=b'/1') + get(target=b'/2') + NEXT, 'GET /1',
         'GET /2', 'GET /next'),
    good('pipelined, 50', b''.join(
        get(target=b'/%d' % number) for number in range(50)),
        *(f'GET /{number}' for number in range(50))),
    good('pipelined, with bodies',
         post(b'Content-Length: 5\r\n', b'hello') * 3 + NEXT,
         'POST / hello', 'POST / hello', 'POST / hello', 'GET /next'),
    good('pipelined, cut anywhere', tuple(
        (get(target=b'/1') + get(target=b'/2'))[start:start + 7]
        for start in range(0, 120, 7)), 'GET /1', 'GET /2'),
    bad('a bad one behind a good one', get() + b'GET / HTTP/1.1\r\n\r\n',
        seen=('GET /',)),
    bad('nothing is answered behind a bad one',
        get(b'X : a\r\n') + SMUGGLED, severe=True,
        lacks=(b'smuggled',)),
    Case('Expect', (post(EXPECT), b'hello'), (100, 200), ('POST / hello',)),
    Case('Expect in capitals', (post(EXPECT.upper()), b'hello'),
         (100, 200), ('POST / hello',)),
    good('Expect with the body at once', post(EXPECT, b'hello'),
         'POST / hello', lacks=(b'100 Continue',)),
    good('Expect without a body', get(b'Expect: 100-continue\r\n'), 'GET /',
         lacks=(b'100 Continue',)),
    Case('Expect with chunks',
         (post(b'Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n'),
          b'5\r\nhello\r\n0\r\n\r\n'), (100, 200), ('POST / hello',)),
    good('Expect in 1.0',
         b'POST / HTTP/1.0\r\n' + EXPECT + b'\r\nhello',
         'POST / hello', ends=CLOSED, lacks=(b'100 Continue',)),
    bad('Expect something else', get(b'Expect: 200-ok\r\n'), 417),
    bad('Expect with too long a body',
        post(b'Expect: 100-continue\r\nContent-Length: 2000001\r\n'), 413,
        lacks=(b'100 Continue',), severe=True),
    bad('Expect with a malformed length',
        post(b'Expect: 100-continue\r\nContent-Length: x\r\n'),
        lacks=(b'100 Continue',)),
    good('half-closed behind a request', get(), 'GET /', half_close=True,
         ends=CLOSED),
    good('half-closed behind two', get() + NEXT, 'GET /', 'GET /next',
         half_close=True, ends=CLOSED),
    good('half-closed behind a body',
         post(b'Content-Length: 5\r\n', b'hello'), 'POST / hello',
         half_close=True, ends=CLOSED),
    Case('half-closed at once', (), (), half_close=True, ends=CLOSED),
    Case('half-closed within a header', (b'GET / HTTP/1.1\r\nHo',), (),
         half_close=True, ends=CLOSED),
    Case('half-closed within a body',
         (post(b'Content-Length: 5\r\n', b'he'),), (), half_close=True,
         ends=CLOSED, severe=True),
    Case('half-closed within chunks',
         (post(b'Transfer-Encoding: chunked\r\n', b'5\r\nhello\r\n'),), (),
         half_close=True, ends=CLOSED, severe=True),
    Case('half-closed between two', (get(), b'GET /'), (200,), ('GET /',),
         half_close=True, ends=CLOSED),
    good('HEAD, then GET', b'HEAD / HTTP/1.1\r\n' + HOST + b'\r\n' + NEXT,
         'HEAD /', 'GET /next'),
)
