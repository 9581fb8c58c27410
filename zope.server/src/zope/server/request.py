"""From the head of a request to its WSGI environment.

The rules are those of RFC 9112 (request line, framing, persistence), RFC 9110
(fields) and PEP 3333 (the environment).
"""
from __future__ import annotations

import logging
import re
from typing import Any
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from zope.server.body import PreallocatedBody
from zope.server.body import SpooledBody
from zope.server.errors import HTTPError
from zope.server.form import mypyc_attr
from zope.server.headers import CACHED_CHARACTERS
from zope.server.parser import HeadChecker
from zope.server.parser import is_token
from zope.server.settings import Settings
from zope.server.tracelog import Trace

logger = logging.getLogger('zope.server.requests')

LATER_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.)[2-9]\r\n").match
OTHER_LINE = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/([0-9](?:\.[0-9])?)\r\n").match
# No WSGI application can answer these.  CONNECT also has a framing of its own
# (RFC 9110, 9.3.6), and PRI begins HTTP/2 (RFC 9113, 3.4).
REFUSED_METHODS = 'CONNECT', 'PRI'
# The methods that llhttp knows, without these.
METHODS = frozenset(
    'ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY'
    ' MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY OPTIONS PATCH POST PROPFIND'
    ' PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE'
    ' UNBIND UNLINK UNLOCK UNSUBSCRIBE'.split())
MINORS = {'HTTP/1.0': 0, 'HTTP/1.1': 1}

T = TypeVar('T', bound='Request')

# Names and values longer than CACHED_CHARACTERS are in no cache: clients could
# take memory for good.
KEYS_CACHED = 1000
# Name of a field -> key in the environment, filled as names are met; None: the
# field is dropped.  A Proxy field would become HTTP_PROXY, which libraries
# take for the address of a proxy ("httpoxy", CVE-2016-5385).
keys: dict[str, str | None] = {
    'Content-Type': 'CONTENT_TYPE',
    'Content-Length': 'CONTENT_LENGTH',
    'Proxy': None,
}
# The beginnings of names that were dropped for an underscore, and logged:
# DROPPED_LOGGED at most, as clients choose them.
dropped: set[str] = set()
DROPPED_LOGGED = 100
DROPPED_SHOWN_BYTES = 100
# These have a single value; two make a request ambiguous (RFC 9110, 5.3).
ONCE = {'HTTP_HOST', 'CONTENT_TYPE', 'CONTENT_LENGTH',
        'HTTP_TRANSFER_ENCODING'}
# The most digits that a length needs.  Zeros before more digits could confuse
# an intermediary.
DIGITS = 20
tokens = re.compile(r'[\s,]+').split
# The Host field (RFC 9110, 4.2 and 7.2).  Commas are left out: no host has
# any, and a proxy makes a list with commas of a repeated field.
HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*)"
    r'(?::[0-9]{0,5})?').fullmatch
ABSOLUTE = re.compile(r'https?://([^/?#]+)([^#]*)', re.IGNORECASE).fullmatch
HOSTS_CACHED = 1000
# Values of Host that have passed the check; at most HOSTS_CACHED.
hosts: set[str] = set()


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """A request whose head has been read.

    `body_length` is in bytes, None when the body comes in chunks.  `store`
    keeps the body, None if there is none.  `minor` is the version, 0 or 1 for
    HTTP/1.0 and 1.1.  `line` is the request line as it came, whatever the
    application does to `environ`, but with HTTP/1.1 for a later version.
    `trace` is None unless there is a trace log.
    """

    def __init__(self, environ: dict[str, Any], method: str, minor: int,
                 line: str = '') -> None:
        self.environ = environ
        self.method = method
        self.minor = minor
        self.line = line
        self.keep_alive = minor == 1
        self.body_length: int | None = 0
        self.expects_continue = False
        self.store: SpooledBody | PreallocatedBody | None = None
        self.trace: Trace | None = None

    @property
    def target(self) -> str:
        """The target as it came (RFC 9112, 3.2); empty without a line."""
        return self.line.partition(' ')[2].partition(' ')[0]


def read_request(head: bytes, checker: HeadChecker, base: dict[str, Any],
                 settings: Settings, make: type[T]) -> T:
    """Return the request of a head, which ends with its first empty line.

    `base` is the part of the environment that the requests of a connection
    have in common; `make` is `Request` or a class derived from it.  Raise
    HTTPError when the head is malformed or asks for what is not supported.
    """
    lines = head[:-4].decode('latin-1').split('\r\n')
    first = lines[0]
    try:
        method, target, version = first.split(' ')
        minor = MINORS[version]
    except (ValueError, KeyError):
        return read_request(as_latest(head), checker, base, settings, make)
    if not (target and target.isascii() and target.isprintable()):
        raise bad_request_line(head)
    if len(first) > settings.max_request_line:
        raise HTTPError(414, 'The request line is too long.')
    checker.check(head if method in METHODS
                  else as_known(method, target, head), lines)
    if len(lines) - 1 > settings.max_request_fields:
        raise HTTPError(431, 'There are too many header fields.')
    environ = base.copy()
    for line in lines[1:]:
        name, colon, value = line.partition(':')
        try:
            key = keys[name]
        except KeyError:
            key = environ_key(name)
        if not colon:
            raise HTTPError(400, 'The request is malformed.')
        if key is None:
            continue
        if key in environ:
            join(key, value.strip(' \t'), environ)
        else:
            environ[key] = value.strip(' \t')
    environ['REQUEST_METHOD'] = method
    environ['REQUEST_URI'] = target
    if not minor:
        environ['SERVER_PROTOCOL'] = 'HTTP/1.0'
    if 'HTTP_HOST' in environ:
        host = environ['HTTP_HOST']
        if host not in hosts and not is_host(host):
            raise HTTPError(400, 'The Host field is malformed.')
    elif minor:
        raise HTTPError(400, 'The Host field is missing.')
    if target[0] == '/' and '%' not in target and '#' not in target:
        environ['PATH_INFO'], _, environ['QUERY_STRING'] = (
            target.partition('?'))
    else:
        set_target(environ, target)
    request = make(environ, method, minor, first)
    if 'CONTENT_LENGTH' in environ or 'HTTP_TRANSFER_ENCODING' in environ:
        set_framing(request, settings)
    if 'HTTP_CONNECTION' in environ:
        set_persistence(request)
    if 'HTTP_EXPECT' in environ:
        set_expect(request)
    return request


def as_known(method: str, target: str, head: bytes) -> bytes:
    """Return a head that llhttp knows in place of one with this method.

    llhttp refuses methods outside its list.  All of them but CONNECT have the
    same framing (RFC 9112, 6.3), so that POST can stand for any.  Raise
    HTTPError for a method that is not supported.
    """
    if not is_token(method):
        raise bad_request_line(head)
    if method in REFUSED_METHODS:
        raise HTTPError(501, 'The method is not supported.')
    return b'POST /' + head[len(method) + 1 + len(target):]


def as_latest(head: bytes) -> bytes:
    """Return a head of a later minor version as one of HTTP/1.1.

    It is processed as the highest version that is known (RFC 9110, 2.5).
    Raise HTTPError for any other request line that is not supported.
    """
    match = LATER_LINE(head)
    if match is None:
        raise bad_request_line(head)
    return b'%b1%b' % (match[1], head[match.end() - 2:])


def bad_request_line(head: bytes) -> HTTPError:
    """Return what is wrong with a request line."""
    match = OTHER_LINE(head)
    if match is None:
        return HTTPError(400, 'The request line is malformed.')
    return HTTPError(505, 'Only HTTP/1.0 and HTTP/1.1 are supported.')


def environ_key(name: str) -> str | None:
    """Return the key of a field in the environment; None: drop the field.

    Names with underscores are dropped, or ``X_User`` could stand in for
    ``X-User``.  Raise HTTPError for what is no name (RFC 9110, 5.1).
    """
    if not is_token(name):
        # llhttp would have to have split the head elsewhere.
        raise HTTPError(400, 'The request is malformed.')
    if '_' in name:
        key = None
        shown = name[:DROPPED_SHOWN_BYTES]
        if len(dropped) < DROPPED_LOGGED and shown not in dropped:
            dropped.add(shown)
            logger.warning('the header %s of a request is dropped, as its'
                           ' name has an underscore', shown)
    else:
        title = name.title()
        key = keys.get(title) if title in keys else (
            'HTTP_' + name.upper().replace('-', '_'))
    if len(keys) < KEYS_CACHED and len(name) <= CACHED_CHARACTERS:
        keys[name] = key
    return key


def join(key: str, value: str, environ: dict[str, Any]) -> None:
    """Join the value of a repeated field to that in the environment.

    Raise HTTPError for a field that must not be repeated.
    """
    if key in ONCE:
        raise HTTPError(400, 'A header field must not be repeated.')
    joint = '; ' if key == 'HTTP_COOKIE' else ', '
    environ[key] += joint + value


def set_target(environ: dict[str, Any], target: str) -> None:
    """Set path and query, and the host if the target has one.

    Raise HTTPError when the target is malformed.
    """
    environ['PATH_INFO'], environ['QUERY_STRING'], host = split_target(
        target, environ['REQUEST_METHOD'])
    if host is not None:
        # The target's host counts, not the field's (RFC 9112, 3.2.2).
        environ['HTTP_HOST'] = host


def is_host(value: str) -> bool:
    """Return whether this can be the value of a Host field, as "" can."""
    if HOST(value) is None:
        return False
    if len(hosts) < HOSTS_CACHED and len(value) <= CACHED_CHARACTERS:
        hosts.add(value)
    return True


def split_target(target: str, method: str) -> tuple[str, str, str | None]:
    """Return (path, query, host) of the target of a request.

    The escapes of the path are resolved into bytes, which are decoded as
    latin-1, as PEP 3333 wants.  A ``%`` that begins no escape stays, as other
    servers leave it.  The host is None unless the target names a
    host.  Raise HTTPError when the target has no form that the method allows.
    """
    host = None
    if target[0] != '/':
        if target == '*' and method == 'OPTIONS':
            return '', '', None
        host, target = split_absolute(target)
    if '#' in target:
        raise HTTPError(400, 'The target has a fragment.')
    path, _, query = target.partition('?')
    if '%' in path:
        path = unquote_to_bytes(path).decode('latin-1')
    return path, query, host


def split_absolute(target: str) -> tuple[str, str]:
    """Return (host, path) of ``http://HOST/PATH``; the path begins with ``/``.

    Raise HTTPError when the target has another form.
    """
    match = ABSOLUTE(target)
    if match is None or not is_host(match[1]) or match[1].startswith(':'):
        raise HTTPError(400, 'The target is not one that a server can have.')
    rest = match[2]
    return match[1], rest if rest.startswith('/') else '/' + rest


def set_framing(request: Request, settings: Settings) -> None:
    """Set how long the body is (RFC 9112, 6).

    Raise HTTPError when that is ambiguous, unsupported or too much.
    """
    environ = request.environ
    coding = environ.pop('HTTP_TRANSFER_ENCODING', None)
    length = environ.get('CONTENT_LENGTH')
    if coding is not None:
        if length is not None or not request.minor:
            raise HTTPError(400, 'Transfer-Encoding has no place here.')
        if coding.lower() != 'chunked':
            raise HTTPError(501, 'The only transfer coding is chunked.')
        request.body_length = None
    elif length is not None:
        if not (length.isascii() and length.isdigit()) or (
                len(length) > DIGITS and length[0] == '0'):
            raise HTTPError(400, 'The Content-Length is malformed.')
        digits = length.lstrip('0') or '0'
        if len(digits) > 19 or int(digits) > settings.max_request_body_size:
            raise HTTPError(413, 'The body is too large.')
        request.body_length = int(digits)


def set_persistence(request: Request) -> None:
    """Set whether the connection is kept (RFC 9112, 9.3)."""
    value = request.environ['HTTP_CONNECTION'].lower()
    # Most often it is one of these two, and nothing else.
    found = [value] if value in ('keep-alive', 'close') else tokens(value)
    if 'close' in found:
        request.keep_alive = False
    elif 'keep-alive' in found:
        request.keep_alive = True


def set_expect(request: Request) -> None:
    """Set whether the client waits for a 100 (RFC 9110, 10.1.1).

    Raise HTTPError for any other expectation.
    """
    if request.minor:
        if request.environ['HTTP_EXPECT'].lower() != '100-continue':
            raise HTTPError(417, 'The only expectation is 100-continue.')
        request.expects_continue = request.body_length != 0
