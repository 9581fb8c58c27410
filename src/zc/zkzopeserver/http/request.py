"""From the head of a request to its WSGI environment."""
from __future__ import annotations

import re
from typing import Any

from zc.zkzopeserver.http.errors import Refusal
from zc.zkzopeserver.http.parser import HeadParser
from zc.zkzopeserver.http.settings import Settings
from zc.zkzopeserver.http.target import is_host
from zc.zkzopeserver.http.target import split

REQUEST_LINE = re.compile(
    rb'([A-Z][A-Z-]*) ([!-~]+) HTTP/1\.([01])\r\n').match
OTHER_VERSION = re.compile(
    rb'[!-~]+ [!-~]+ HTTP/[0-9](?:\.[0-9])?\r\n').match
OTHER_METHOD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n").match
# The methods that llhttp knows, but for CONNECT and PRI, which no
# application can answer.
METHODS = frozenset(
    b'ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY'
    b' MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY OPTIONS PATCH POST PROPFIND'
    b' PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE'
    b' UNBIND UNLINK UNLOCK UNSUBSCRIBE'.split())

KEYS_KEPT = 1000
# Which name goes where, filled as names are met; None: the field is dropped.
# A Proxy field would become HTTP_PROXY, which many a library takes for the
# address of a proxy.
keys: dict[bytes, str | None] = {
    b'Content-Type': 'CONTENT_TYPE',
    b'Content-Length': 'CONTENT_LENGTH',
    b'Proxy': None,
}
ONCE = {'HTTP_HOST', 'CONTENT_TYPE', 'CONTENT_LENGTH',
        'HTTP_TRANSFER_ENCODING'}
tokens = re.compile(r'[\s,]+').split


class Request:
    """A request whose head has been read.

    `length` is that of the body, None when it is chunked.
    """

    __slots__ = ('environ', 'method', 'minor', 'keep_alive', 'length',
                 'expects_continue', 'trace')

    def __init__(self, environ: dict[str, Any], method: str,
                 minor: int) -> None:
        self.environ = environ
        self.method = method
        self.minor = minor
        self.keep_alive = minor == 1
        self.length: int | None = 0
        self.expects_continue = False
        self.trace: Any = None


def read(head: bytes, parser: HeadParser, base: dict[str, Any],
         settings: Settings) -> Request:
    """The request of a head, which ends with its empty line.

    `base` is what the environments of its connection have in common.
    """
    match = REQUEST_LINE(head)
    if match is None:
        raise bad_request_line(head)
    method, target, minor = match.groups()
    if len(target) > settings.max_request_line:
        raise Refusal(414, 'The target is too long.')
    if method not in METHODS:
        raise Refusal(501, 'The method is not supported.')
    fields = parser.fields(head)
    if len(fields) > settings.max_request_fields:
        raise Refusal(431, 'There are too many header fields.')
    environ = base.copy()
    collect(fields, environ)
    request = Request(environ, method.decode(), 1 if minor == b'1' else 0)
    locate(request, target.decode())
    frame(request, settings)
    connect(request)
    return request


def bad_request_line(head: bytes) -> Refusal:
    """What is wrong with a request line."""
    if OTHER_METHOD(head):
        return Refusal(501, 'The method is not supported.')
    if OTHER_VERSION(head):
        return Refusal(505, 'Only HTTP/1.0 and HTTP/1.1 are supported.')
    return Refusal(400, 'The request line is malformed.')


def environ_key(name: bytes) -> str | None:
    """Where in the environment a field goes; None: nowhere.

    Names with underscores are dropped, or ``X_User`` could stand in for
    ``X-User``.
    """
    if b'_' in name:
        key = None
    else:
        title = name.title()
        key = keys.get(title) if title in keys else (
            'HTTP_' + name.decode().upper().replace('-', '_'))
    if len(keys) < KEYS_KEPT:
        keys[name] = key
    return key


def collect(fields: list[tuple[bytes, bytes]],
            environ: dict[str, Any]) -> None:
    """Put the fields into the environment; repeated ones are joined."""
    for name, raw in fields:
        try:
            key = keys[name]
        except KeyError:
            key = environ_key(name)
        if key is None:
            continue
        value = raw.decode('latin-1').rstrip(' \t')
        if key in environ:
            if key in ONCE:
                raise Refusal(400, 'A header field must not be repeated.')
            joint = '; ' if key == 'HTTP_COOKIE' else ', '
            value = environ[key] + joint + value
        environ[key] = value


def locate(request: Request, target: str) -> None:
    """What is asked for, from which host."""
    environ = request.environ
    path, query, host = split(target, request.method)
    found = environ.get('HTTP_HOST')
    if found is None:
        if request.minor:
            raise Refusal(400, 'The Host field is missing.')
    elif not is_host(found):
        raise Refusal(400, 'The Host field is malformed.')
    if host is not None:
        # RFC 9112, 3.2.2: the target's host counts, not the field's.
        environ['HTTP_HOST'] = host
    environ['REQUEST_METHOD'] = request.method
    environ['REQUEST_URI'] = target
    environ['PATH_INFO'] = path
    environ['QUERY_STRING'] = query
    environ['SERVER_PROTOCOL'] = 'HTTP/1.1' if request.minor else 'HTTP/1.0'


def frame(request: Request, settings: Settings) -> None:
    """How long the body is."""
    environ = request.environ
    coding = environ.pop('HTTP_TRANSFER_ENCODING', None)
    length = environ.get('CONTENT_LENGTH')
    if coding is not None:
        if length is not None or not request.minor:
            raise Refusal(400, 'Transfer-Encoding has no place here.')
        if coding.lower() != 'chunked':
            raise Refusal(501, 'The only transfer coding is chunked.')
        request.length = None
    elif length is not None:
        if not (length.isascii() and length.isdigit()):
            raise Refusal(400, 'The Content-Length is malformed.')
        digits = length.lstrip('0') or '0'
        if len(digits) > 19 or int(digits) > settings.max_request_body_size:
            raise Refusal(413, 'The body is too large.')
        request.length = int(digits)


def connect(request: Request) -> None:
    """What becomes of the connection, and whether to answer before."""
    connection = request.environ.get('HTTP_CONNECTION')
    if connection is not None:
        found = tokens(connection.lower())
        if 'close' in found:
            request.keep_alive = False
        elif 'keep-alive' in found:
            request.keep_alive = True
    expect = request.environ.get('HTTP_EXPECT')
    if expect is not None and request.minor:
        if expect.lower() != '100-continue':
            raise Refusal(417, 'The only expectation is 100-continue.')
        request.expects_continue = request.length != 0
