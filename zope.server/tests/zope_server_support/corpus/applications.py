"""Cases of what applications do, rightly and wrongly: see `application`."""
from __future__ import annotations

from typing import Any

from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import HOST
from zope_server_support.corpus.case import RESET
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import get

LENGTH = b'Content-Length:'
CHUNKED = b'Transfer-Encoding: chunked\r\n'
SECRET = b'secret'


def does(name: str, status: int = 200, body: bytes | None = b'hello',
         **more: Any) -> Case:
    """Return a case for ``/app/NAME``."""
    method = more.pop('method', 'GET')
    version = more.pop('version', '1.1')
    title = ' '.join([name, method, version]) if (
        method, version) != ('GET', '1.1') else name
    request = b'%b /app/%b HTTP/%b\r\n%b\r\n' % (
        method.encode(), name.encode(), version.encode(), HOST)
    more.setdefault('lacks', (SECRET,))
    return Case(f'application: {title}', (request,), (status,),
                (f'{method} /app/{name}',),
                bodies=None if body is None else (body,), **more)


def fails(name: str, **more: Any) -> Case:
    """Return a case in which the application is answered for with 500."""
    return does(name, 500, None, ends=CLOSED, **more)


CASES = (
    does('list', has=(b'Content-Length: 5\r\n',)),
    does('list-of-parts', has=(b'Content-Length: 5\r\n',)),
    does('tuple', has=(b'Content-Length: 5\r\n',)),
    does('bytearray', has=(b'Content-Length: 5\r\n',)),
    does('memoryview', has=(b'Content-Length: 5\r\n',)),
    does('bytearrays', has=(CHUNKED,)),
    does('hop-connection', lacks=(b'onnection:',)),
    does('hop-connection', version='1.0', ends=CLOSED,
         has=(b'Connection: close\r\n',), lacks=(b'keep-alive',)),
    does('hop-connection-close', lacks=(b'onnection:',)),
    does('hop-proxy-connection', lacks=(b'onnection:',)),
    does('hop-keep-alive', lacks=(b'Keep-Alive:',)),
    does('hop-trailer', lacks=(b'Trailer:',)),
    does('empty-list', body=b'', has=(b'Content-Length: 0\r\n',)),
    does('empty-strings', body=b'', has=(b'Content-Length: 0\r\n',)),
    does('generator', has=(CHUNKED,)),
    does('generator', version='1.0', ends=CLOSED, lacks=(CHUNKED, LENGTH)),
    does('generator', method='HEAD', body=b'', lacks=(b'hello',)),
    does('lazy', has=(CHUNKED,)),
    does('lazy', method='HEAD', body=b'', lacks=(b'hello',)),
    does('iterator', has=(CHUNKED,)),
    does('with-length', has=(b'Content-Length: 5\r\n',), lacks=(CHUNKED,)),
    does('with-length', version='1.0', ends=CLOSED),
    does('with-length', method='HEAD', body=b'', lacks=(b'hello',),
         has=(b'Content-Length: 5\r\n',)),
    does('list', method='HEAD', body=b'', lacks=(b'hello',)),
    does('empty-list', method='HEAD', body=b'', lacks=(LENGTH, CHUNKED)),
    does('empty-strings', method='HEAD', body=b'', lacks=(LENGTH, CHUNKED)),
    does('empty-generator', method='HEAD', body=b'',
         lacks=(LENGTH, CHUNKED)),
    does('empty-write', method='HEAD', body=b'', lacks=(LENGTH, CHUNKED)),
    does('file-empty', method='HEAD', body=b'', lacks=(LENGTH, CHUNKED)),
    does('length-0', method='HEAD', body=b'',
         has=(b'Content-Length: 0\r\n',)),
    does('empty-generator', body=b'', has=(b'Content-Length: 0\r\n',)),
    does('write', has=(CHUNKED,)),
    does('write-and-list', body=b'hello, world'),
    does('write-with-length', has=(b'Content-Length: 5\r\n',)),
    does('write', method='HEAD', body=b'', lacks=(b'hello',)),
    does('empty-write', body=b'', has=(b'Content-Length: 0\r\n',)),
    does('date', has=(b'Date: then\r\n',), lacks=(b'GMT',)),
    does('server', has=(b'Server: mine\r\n',), lacks=(b'zkzopeserver',)),
    does('cookies', has=(b'Set-Cookie: a=b\r\n', b'Set-Cookie: c=d\r\n')),
    does('latin-1', has=(b'X-Foo: \xe9\r\n',)),
    does('no-reason', has=(b'HTTP/1.1 200 \r\n',)),
    does('long-reason', has=(b'HTTP/1.1 200 All is well\r\n',)),
    does('status-204', 204, b'', lacks=(LENGTH, CHUNKED, b'hello')),
    does('status-204-generator', 204, b'', lacks=(LENGTH, CHUNKED,
                                                  b'hello')),
    does('status-304', 304, b'', lacks=(CHUNKED, b'hello')),
    does('status-304-with-length', 304, b'', has=(b'Content-Length: 5\r\n',),
         lacks=(b'hello',)),
    does('status-304-with-length-0', 304, b'', lacks=(LENGTH, CHUNKED)),
    does('status-404', 404),
    does('status-599', 599),
    does('close', body=b'hello'),
    does('file'),
    does('file', method='HEAD', body=b'', lacks=(b'hello',),
         has=(b'Content-Length: 5\r\n',)),
    does('file', version='1.0', ends=CLOSED),
    does('file-from-the-middle', body=b'llo'),
    does('file-with-length', body=b'hel'),
    does('file-like', has=(CHUNKED,)),
    does('file-compressed'),
    does('file-empty', body=b''),
    does('replaced', 503, b'sorry'),
    does('read-nothing'),
    does('input-methods'),
    does('mutates-environ'),
    fails('raise'),
    fails('raise-started'),
    fails('raise-in-generator'),
    fails('raise', method='HEAD'),
    fails('raise', version='1.0'),
    fails('exit'),
    fails('interrupt'),
    fails('generator-exit'),
    fails('no-start'),
    fails('none'),
    fails('number'),
    fails('text'),
    fails('text-in-generator'),
    fails('number-in-list'),
    fails('start-twice'),
    fails('value-with-crlf', severe=True, lacks=(b'X-Evil',)),
    fails('value-with-lf', severe=True, lacks=(b'X-Evil',)),
    fails('value-with-cr', severe=True, lacks=(b'X-Evil',)),
    fails('value-with-nul', severe=True),
    fails('value-with-del'),
    fails('value-beyond-latin-1'),
    fails('value-number'),
    fails('value-bytes'),
    fails('name-with-crlf', severe=True, lacks=(b'X-Evil',)),
    fails('name-with-space', severe=True),
    fails('name-with-colon', severe=True),
    fails('name-empty', severe=True),
    fails('name-bytes'),
    fails('name-not-ascii'),
    fails('header-triple'),
    fails('headers-none'),
    fails('status-with-crlf', severe=True, lacks=(b'X-Evil',)),
    fails('status-with-nul', severe=True),
    fails('status-number'),
    fails('status-bytes'),
    fails('status-empty'),
    fails('status-words'),
    fails('status-short'),
    fails('status-100', severe=True),
    fails('status-beyond-latin-1'),
    fails('hop-transfer-encoding', severe=True),
    fails('hop-upgrade'),
    fails('hop-te'),
    fails('length-negative', severe=True),
    fails('length-words', severe=True),
    fails('length-twice', severe=True),
    does('length-too-small', body=b'hel', ends=CLOSED, severe=True,
         lacks=(b'hello',)),
    does('length-too-small-generator', body=b'hel', ends=CLOSED,
         severe=True, lacks=(b'hello',)),
    does('length-too-small-write', body=b'hel', ends=CLOSED, severe=True,
         lacks=(b'hello',)),
    does('length-too-big', ends=CLOSED, is_cut=True, severe=True),
    does('length-too-big-generator', ends=CLOSED, is_cut=True, severe=True),
    does('length-too-big-empty', body=b'', ends=CLOSED, is_cut=True,
         severe=True),
    does('file-too-short', ends=CLOSED, is_cut=True, severe=True),
    does('raise-late', ends=CLOSED, is_cut=True),
    does('raise-late', version='1.0', ends=RESET, is_cut=True),
    does('raise-late-with-length', ends=CLOSED, is_cut=True),
    does('exit-late', ends=CLOSED, is_cut=True),
    does('text-late', ends=CLOSED, is_cut=True),
    does('replace-late', ends=CLOSED, is_cut=True),
    does('raise-in-close'),
    does('raise-in-close-late'),
    Case('application: behind an error', (
        get(target=b'/app/raise') + get(),), (500,), ('GET /app/raise',),
        ends=CLOSED),
    Case('application: what is not read is skipped', (
        b'POST /app/read-nothing HTTP/1.1\r\n' + HOST
        + b'Content-Length: 5\r\n\r\nabcde' + get(),), (200, 200),
        ('POST /app/read-nothing', 'GET /'), severe=True),
)
