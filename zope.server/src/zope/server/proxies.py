"""What a server believes of the proxies in front of it.

Only peers in `trusted_proxy` are believed, and of their fields only those that
`trusted_proxy_headers` names.  The others are removed from the request, as
applications and frameworks believe them, too.

A chain of proxies is read from its end, which is nearest to the server: each
address was told by the one behind it.  The first that is no trusted proxy is
the client.  What stands before it in a field is the client's own word.
"""
from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import MutableMapping
from typing import Any
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from zope.server.errors import HTTPError
from zope.server.forwarded import SCHEMES
from zope.server.forwarded import Node
from zope.server.forwarded import hostname_and_port
from zope.server.forwarded import items_of
from zope.server.forwarded import parse_forwarded
from zope.server.forwarded import parse_host
from zope.server.forwarded import parse_node
from zope.server.forwarded import parse_port
from zope.server.forwarded import parse_scheme
from zope.server.forwarded import unquoted
from zope.server.headers import CACHED_CHARACTERS
from zope.server.networks import Networks
from zope.server.proxyprotocol import Source
from zope.server.request import Request
from zope.server.request import split_absolute
from zope.server.settings import Settings

Environ = MutableMapping[str, Any]

# The address of the TCP connection, where REMOTE_ADDR is the client's.
PEER = 'zope.server.peer'
# Field -> its key in environments.  What is not believed is removed.
KEYS = {
    'x-forwarded-for': 'HTTP_X_FORWARDED_FOR',
    'x-forwarded-proto': 'HTTP_X_FORWARDED_PROTO',
    'x-forwarded-host': 'HTTP_X_FORWARDED_HOST',
    'x-forwarded-port': 'HTTP_X_FORWARDED_PORT',
    'x-forwarded-by': 'HTTP_X_FORWARDED_BY',
    'forwarded': 'HTTP_FORWARDED',
}
ALL = tuple(KEYS.values())
FOR, PROTO, HOST, PORT, _, FORWARDED = ALL
DEFAULT_HEADERS = 'x-forwarded-for, x-forwarded-proto'
# A network that no peer is in.
NOBODY = '0.0.0.0'
# How many fields are kept as they were read, of CACHED_CHARACTERS at most.
FIELDS_CACHED = 1000


class Told(NamedTuple):
    """What a field tells; None and '' stand for what it does not.

    `kept` is what of it the application may see.
    """

    client: Node | None
    scheme: str
    host: str
    kept: str


class Proxies:
    """The settings about proxies, applied to requests.

    `has_trusted` says that there are trusted proxies, and `has_protocol` that
    these send PROXY headers.  `removed` counts the fields that were not
    believed.
    """

    def __init__(self, settings: Settings) -> None:
        self.has_trusted = bool(settings.trusted_proxy)
        self.has_protocol = settings.proxy_protocol
        self.removed = 0
        names = settings.trusted_proxy_headers or (
            '' if self.has_protocol else DEFAULT_HEADERS)
        believed = {KEYS[name] for name in items_of(names)}
        self._unbelieved = [key for key in ALL if key not in believed]
        self._singles = not believed.isdisjoint((PROTO, HOST, PORT))
        self._trusted = Networks(settings.trusted_proxy or NOBODY)
        self._count = settings.trusted_proxy_count
        self._prefix = settings.url_prefix.split('/')[1:]
        self._lock = threading.Lock()
        # A proxy's clients come again and again.
        self._cache: dict[tuple[str, str], Told] = {}

    def is_trusted(self, address: str) -> bool:
        """Return whether this is the address of a trusted proxy."""
        return self.has_trusted and address in self._trusted

    def apply(self, request: Request, is_trusted: bool,
              source: Source | None) -> None:
        """Set what the request's proxies tell, and remove other fields.

        `is_trusted` says whether the connection is a trusted proxy's, and
        `source` is what its PROXY header has told.  Raise HTTPError when
        fields that are believed are malformed, or contradict each other.
        """
        environ = request.environ
        if self.has_trusted:
            for key in self._unbelieved if is_trusted else ALL:
                if key in environ:
                    self._remove(environ, key)
            if is_trusted:
                self._believe(environ, source)
        if self._prefix:
            set_path(environ, self._prefix)

    def _remove(self, environ: Environ, key: str) -> None:
        del environ[key]
        with self._lock:
            self.removed += 1

    def _believe(self, environ: Environ, source: Source | None) -> None:
        """Set what the fields tell that are still there."""
        scheme = host = port = ''
        for key in FOR, FORWARDED:
            if key in environ:
                told = self._read(key, environ[key], source)
                if told.client is not None:
                    set_client(environ, told.client)
                scheme, host = told.scheme, told.host
                keep(environ, key, told.kept)
        if self._singles:
            scheme = self._single(environ, PROTO)
            if scheme and scheme not in SCHEMES:
                scheme = parse_scheme(scheme, 'X-Forwarded-Proto')
            host = self._single(environ, HOST)
            if host:
                host = parse_host(host, 'X-Forwarded-Host')
            port = self._single(environ, PORT)
            if port:
                port = parse_port(port, 'X-Forwarded-Port')
        if scheme or host or port:
            set_server(environ, scheme, host, port)

    def _read(self, key: str, value: str, source: Source | None) -> Told:
        """Return what a field with addresses tells."""
        found = self._cache.get((key, value))
        if found is not None and source is None:
            return found
        told = (self._read_for(value, source) if key == FOR
                else self._read_forwarded(value, source))
        if source is None and len(value) <= CACHED_CHARACTERS:
            if len(self._cache) >= FIELDS_CACHED:
                self._cache.clear()
            self._cache[key, value] = told
        return told

    def _read_for(self, value: str, source: Source | None) -> Told:
        """Return what X-Forwarded-For tells."""
        items = items_of(value)
        client, count = self._client(source, len(items), (
            lambda index: parse_node(unquoted(items[index]),
                                     'X-Forwarded-For')))
        return Told(client, '', '', ', '.join(items[len(items) - count:]))

    def _read_forwarded(self, value: str, source: Source | None) -> Told:
        """Return what Forwarded tells."""
        elements = parse_forwarded(value)
        client, count = self._client(source, len(elements),
                                     lambda index: elements[index].client)
        # Behind a PROXY header that names the client, the last element is
        # still that of the proxy.
        elements = elements[len(elements) - max(count, 1):]
        # A proxy may have changed Host, and may have come without TLS: the
        # one nearest to the client knows.
        return Told(
            client,
            next((each.scheme for each in elements if each.scheme), ''),
            next((each.host for each in elements if each.host), ''),
            ', '.join(each.text for each in elements))

    def _client(self, source: Source | None, length: int,
                node_at: Callable[[int], Node | None],
                ) -> tuple[Node | None, int]:
        """Return (client, how many of `length` places are believed).

        These are the last.  `node_at` returns the node in a place, None if
        the proxy has told none.  Without a client nothing changes.
        """
        most = length
        if self._count:
            most = min(length, self._count - (source is not None))
        elif source is not None and not self.is_trusted(source.address):
            return None, 0
        client, count = None, 0
        while count < most:
            count += 1
            node = node_at(length - count)
            client = node or client
            if not self._count and (
                    node is None or not self.is_trusted(node.address)):
                break
        return client, count

    def _single(self, environ: Environ, key: str) -> str:
        """Return the value of a field that has one, '' if it is not there.

        With `trusted_proxy_count` each proxy may have added one, and the first
        of these counts.  Without it nothing tells which does.
        """
        if key not in environ:
            return ''
        value = environ[key]
        if ',' not in value:
            return unquoted(value)
        items = items_of(value)
        if self._count:
            items = items[-self._count:]
        elif len(set(map(str.lower, items))) > 1:
            raise contradiction()
        keep(environ, key, ', '.join(items))
        return unquoted(items[0]) if items else ''


def contradiction() -> HTTPError:
    """Return the error of fields that cannot be true together."""
    return HTTPError(400, 'The fields of a proxy contradict each other.')


def keep(environ: Environ, key: str, text: str) -> None:
    """Leave this of a field to the application; without any, nothing."""
    if text:
        environ[key] = text
    else:
        del environ[key]


def set_client(environ: Environ, client: Node | Source) -> None:
    """Set the client's address, and its port if that is known."""
    environ['REMOTE_ADDR'] = client.address
    if client.port is None:
        environ.pop('REMOTE_PORT', None)
    else:
        environ['REMOTE_PORT'] = str(client.port)


def set_server(environ: Environ, scheme: str, host: str, port: str) -> None:
    """Set what the client has asked for; '' stands for what is not told.

    Raise HTTPError when host and port contradict each other.
    """
    scheme = scheme or environ['wsgi.url_scheme']
    asked = host or environ.get('HTTP_HOST', '')
    name, its_port = (hostname_and_port(asked) if ':' in asked
                      else (asked, ''))
    default = SCHEMES[scheme]
    if port and int(its_port or default) != int(port):
        if host and its_port:
            raise contradiction()
        asked = name if port == default else f'{name}:{port}'
    environ['wsgi.url_scheme'] = scheme
    environ['SERVER_PORT'] = port or its_port or default
    if name and (host or port):
        environ['HTTP_HOST'] = asked
    if host:
        environ['SERVER_NAME'] = name


def set_path(environ: Environ, prefix: list[str]) -> None:
    """Take the prefix, as segments, from the path if that begins with it.

    It is looked for before escapes are resolved: ``%2F`` separates nothing.
    """
    target = environ['REQUEST_URI']
    if target[0] != '/':
        if target == '*':
            return
        target = split_absolute(target)[1]
    segments = target.partition('?')[0].split('/', len(prefix) + 1)[1:]
    if [*map(resolved, segments[:len(prefix)])] == prefix:
        rest = segments[len(prefix):]
        environ['PATH_INFO'] = f'/{resolved(rest[0])}' if rest else ''


def resolved(path: str) -> str:
    """Return a path without escapes, its bytes decoded as PEP 3333 says."""
    return unquote_to_bytes(path).decode('latin-1')
