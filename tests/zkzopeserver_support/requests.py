"""Requests as bytes, as browsers and other clients send them."""
from __future__ import annotations

import gzip
import hashlib
from urllib.parse import quote

LINE = 'Host: example.org\r\nUser-Agent: a test\r\n'


def request(line: str, headers: str = '', body: bytes = b'',
            length: bool = True) -> bytes:
    """Return a request; `headers` are whole lines.

    With `length`, a request that has a body gets its Content-Length.
    """
    if body and length:
        headers += f'Content-Length: {len(body)}\r\n'
    if 'HTTP/' not in line:
        line += ' HTTP/1.1'
    return f'{line}\r\n{LINE}{headers}\r\n'.encode() + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    """Return a body in chunks."""
    return b''.join(
        b'%x\r\n%b\r\n' % (len(piece), piece) for piece in (
            body[at:at + size] for at in range(0, len(body), size))
    ) + b'0\r\n\r\n'


def multipart(name: str, filename: str, content: bytes) -> bytes:
    """Return a form with a file, with the boundary ``xyzzy``."""
    return (f'--xyzzy\r\nContent-Disposition: form-data; name="{name}";'
            f' filename="{filename}"\r\nContent-Type: application/x-thing\r\n'
            '\r\n').encode() + content + b'\r\n--xyzzy--\r\n'


def noise(size: int) -> bytes:
    """Return bytes that do not compress, the same ones each time."""
    return hashlib.shake_128(b'seed').digest(size)


FORM = 'Content-Type: application/x-www-form-urlencoded\r\n'
MULTIPART = 'Content-Type: multipart/form-data; boundary=xyzzy\r\n'
JSON = 'Content-Type: application/json\r\n'
CHUNKED = 'Transfer-Encoding: chunked\r\n'
UNUSUAL = quote('\N{SNOWMAN} /;%&+~', safe='/;+~')

#: What all sites of `zkzopeserver_support.frameworks` are asked.
REQUESTS = {
    'plain': request('GET /hello'),
    'query': request(f'GET /hello?name={UNUSUAL}&x=1'),
    'head': request('HEAD /hello'),
    'head of a generator': request('HEAD /lines'),
    'head of a file': request('HEAD /file'),
    'no such page': request('GET /nowhere'),
    'unusual path': request(f'GET /nowhere/{UNUSUAL}'),
    'two slashes': request('GET //hello//x'),
    'dot segments': request('GET /nowhere/../hello'),
    'absolute form': request('GET http://example.org/echo?a=1'),
    'keep-alive of 1.0': request('GET /hello HTTP/1.0',
                                 'Connection: keep-alive\r\n'),
    'HTTP/1.0': request('GET /hello HTTP/1.0'),
    'generator, HTTP/1.0': request('GET /lines HTTP/1.0'),
    'close': request('GET /hello', 'Connection: close\r\n'),
    'echo': request('GET /echo?a=b%20c', 'X-Thing: 1\r\nAccept: */*\r\n'),
    'a header twice': request('GET /echo', 'X-Thing: 1\r\nX-Thing: 2\r\n'),
    'cookies': request('GET /cookie', 'Cookie: seen=yes; b="c d"\r\n'),
    'options': request('OPTIONS /hello'),
    'put': request('PUT /echo', JSON, b'{"a": 1}'),
    'patch': request('PATCH /echo', JSON, b'{"a": 1}'),
    'delete': request('DELETE /echo'),
    'empty post': request('POST /echo', 'Content-Length: 0\r\n'),
    'form': request('POST /form', FORM, b'a=1&a=2&b=%E2%98%83'),
    'form in chunks': request('POST /form', FORM + CHUNKED, chunked(
        b'a=1&a=2&b=%E2%98%83', 3), length=False),
    'body in chunks': request('POST /echo', JSON + CHUNKED, chunked(
        noise(30_000)), length=False),
    'gzipped body': request('POST /echo', 'Content-Encoding: gzip\r\n',
                            gzip.compress(b'x' * 10_000, mtime=0)),
    'upload': request('POST /upload', MULTIPART, multipart(
        'file', 'a.bin', noise(1_500_000))),
    'expect': request('POST /form', FORM + 'Expect: 100-continue\r\n',
                      b'a=1'),
    'generator': request('GET /lines'),
    'file': request('GET /file'),
    'a part of a file': request('GET /file', 'Range: bytes=1000-1999\r\n'),
    'file, not modified': request(
        'GET /file', 'If-Modified-Since: Tue, 01 Jan 2030 00:00:00 GMT\r\n'),
    'moved': request('GET /moved'),
    'no content': request('GET /empty'),
    'long text': request('GET /text'),
    'long text, gzipped': request('GET /text', 'Accept-Encoding: gzip\r\n'),
    'an error': request('GET /broken'),
    'push of devpi': request('PUSH /echo', JSON, (
        b'{"name": "pkg", "version": "1.0", "targetindex": "root/prod"}')),
}
