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
FOR, PROTO, HOST, PORT, _, FORWARDED = KEYS.values()
DEFAULT_HEADERS = 'x-forwarded-for, x-forwarded-proto'


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
        self._believed = {KEYS[name] for name in items_of(names.lower())}
        self._trusted = (Networks(settings.trusted_proxy)
                         if settings.trusted_proxy else None)
        self._count = settings.trusted_proxy_count
        self._prefix = settings.url_prefix.split('/')[1:]
        self._lock = threading.Lock()

    def is_trusted(self, address: str) -> bool:
        """Return whether this is the address of a trusted proxy."""
        return self._trusted is not None and address in self._trusted

    def apply(self, request: Request, peer: str,
              source: Source | None) -> None:
        """Set what the request's proxies tell, and remove other fields.

        `peer` is the address of the connection, `source` what its PROXY
        header has told.  Raise HTTPError when fields that are believed are
        malformed, or contradict each other.
        """
        environ = request.environ
        if self._trusted is not None:
            self._remove(environ, self._believed if peer in self._trusted
                         else set())
            if FORWARDED in environ:
                self._believe_forwarded(environ, source)
            else:
                self._believe_fields(environ, source)
        if self._prefix:
            set_path(environ, self._prefix)

    def _remove(self, environ: Environ, believed: set[str]) -> None:
        """Remove, and count, the fields that are not believed."""
        found = [key for key in KEYS.values()
                 if key in environ and key not in believed]
        for key in found:
            del environ[key]
        if found:
            with self._lock:
                self.removed += len(found)

    def _believe_fields(self, environ: Environ,
                        source: Source | None) -> None:
        """Set what X-Forwarded fields tell."""
        if FOR in environ:
            items = items_of(environ[FOR])
            told = self._set_client(environ, source, len(items), (
                lambda index: parse_node(unquoted(items[index]),
                                         'X-Forwarded-For')))
            keep(environ, FOR, items[len(items) - told:])
        scheme = self._single(environ, PROTO)
        host = self._single(environ, HOST)
        port = self._single(environ, PORT)
        if scheme or host or port:
            set_server(
                environ,
                scheme and parse_scheme(scheme, 'X-Forwarded-Proto'),
                host and parse_host(host, 'X-Forwarded-Host'),
                port and parse_port(port, 'X-Forwarded-Port'))

    def _believe_forwarded(self, environ: Environ,
                           source: Source | None) -> None:
        """Set what the Forwarded field tells."""
        elements = parse_forwarded(environ[FORWARDED])
        told = self._set_client(environ, source, len(elements),
                                lambda index: elements[index].client)
        # With a PROXY header the last element may tell no more than that of
        # the client; its proxy is trusted all the same.
        elements = elements[len(elements) - max(told, 1):]
        keep(environ, FORWARDED, [element.text for element in elements])
        # A proxy may have changed Host, and may have come without TLS: the
        # one nearest to the client knows.
        schemes = [each.scheme for each in elements if each.scheme]
        hosts = [each.host for each in elements if each.host]
        if schemes or hosts:
            set_server(environ, schemes[0] if schemes else '',
                       hosts[0] if hosts else '', '')

    def _set_client(self, environ: Environ, source: Source | None,
                    length: int, node_at: Callable[[int], Node | None],
                    ) -> int:
        """Set the client; return how many of `length` places were believed.

        These are the last.  `node_at` returns the node in a place, None if
        the proxy has told none.
        """
        most = length
        if self._count:
            most = min(length, self._count - (source is not None))
        elif source is not None and not self.is_trusted(source.address):
            return 0
        client, told = None, 0
        while told < most:
            told += 1
            node = node_at(length - told)
            client = node or client
            if not self._count and (
                    node is None or not self.is_trusted(node.address)):
                break
        if client is not None:
            set_client(environ, client)
        return told

    def _single(self, environ: Environ, key: str) -> str:
        """Return the value of a field that has one, '' if it is not there.

        With `trusted_proxy_count` each proxy may have added one, and the first
        of these counts.  Without it nothing tells which does.
        """
        if key not in environ:
            return ''
        items = items_of(environ[key])
        if self._count:
            items = items[-self._count:]
        elif len(set(items)) > 1:
            raise contradiction()
        keep(environ, key, items)
        return unquoted(items[0]) if items else ''


def contradiction() -> HTTPError:
    """Return the error of fields that cannot be true together."""
    return HTTPError(400, 'The fields of a proxy contradict each other.')


def keep(environ: Environ, key: str, items: list[str]) -> None:
    """Leave these of a field to the application; without any, nothing."""
    if items:
        environ[key] = ', '.join(items)
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
    name, its_port = hostname_and_port(asked)
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
