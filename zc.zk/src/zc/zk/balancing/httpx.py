"""Transports for `httpx`: each request goes to a server of a path.

::

    balancer = Balancer(zk, '/cms/providers')
    client = httpx.Client(mounts={'http://cms': Transport(balancer)})
    client.get('http://cms/news')

The host of the URL names the service: it is in the Host field, and in
`Response.url`. `Response.extensions['server']` is the `zc.zk.servers.Server`
that has answered. `AsyncTransport` is for `httpx.AsyncClient`.
"""
from __future__ import annotations

import ssl
import threading
import time
from collections.abc import AsyncIterator
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
from zc.zk.balancing.attempts import Attempts
from zc.zk.balancing.attempts import Failure
from zc.zk.balancing.balancer import Balancer
from zc.zk.balancing.balancer import Lease
from zc.zk.balancing.balancer import NoServers
from zc.zk.servers import Server

#: What `httpx` raises before anything was sent, and before the answer.
CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout)
BROKEN = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

#: The time between two looks for a server, without blocking the event loop.
POLL_S = 0.05


class NoServersError(NoServers, httpx.ConnectError):
    """`NoServers`, as `httpx` raises it."""

    def __init__(self, message: str, request: httpx.Request) -> None:
        httpx.ConnectError.__init__(self, message, request=request)


class _Transports:
    """What both kinds have in common: an inner transport for each server.

    A server that has left has none any more once its requests are over: so
    its idle connections are closed.
    """

    kind: type

    def __init__(self, balancer: Balancer, host: str | None,
                 options: dict[str, Any]) -> None:
        if 'retries' in options:
            raise TypeError('retries: the balancer retries')
        self._balancer = balancer
        self._host = host
        self._options = options
        # One context for all servers: to make one takes 20 ms.
        if not isinstance(options.get('verify', True), ssl.SSLContext):
            options['verify'] = httpx.create_ssl_context(
                verify=options.get('verify', True),
                cert=options.pop('cert', None),
                trust_env=options.get('trust_env', True))
        # What is wrong with the options shows now.
        self.kind(**options)
        self._forked()
        balancer.on_leave(self._forget)
        balancer.on_fork(self._forked)

    def _forked(self) -> None:
        """Begin without connections: those of before are the parent's."""
        # A response that the garbage collector finds ends its request, in a
        # thread that may have the lock.
        self._lock = threading.RLock()
        self._inner: dict[tuple[str, int], Any] = {}
        self._loads: dict[tuple[str, int], int] = {}
        self._leaving: set[tuple[str, int]] = set()

    def _forget(self, server: Server) -> None:
        with self._lock:
            self._leaving.add((server.host, server.port))

    def _take(self, server: Server) -> Any:
        """Return the transport of a server, for a request that begins."""
        where = server.host, server.port
        with self._lock:
            self._leaving.discard(where)
            if where not in self._inner:
                self._inner[where] = self.kind(**self._options)
            self._loads[where] = self._loads.get(where, 0) + 1
            return self._inner[where]

    def _over(self, server: Server) -> None:
        """Take in that a request is over."""
        where = server.host, server.port
        with self._lock:
            if where in self._loads:    # not of a parent process
                self._loads[where] -= 1

    def _idle(self) -> list[Any]:
        """Take out the transports of servers that have left, and are idle."""
        if not self._leaving:
            return []
        with self._lock:
            idle = [where for where in self._leaving
                    if not self._loads.get(where)]
            self._leaving.difference_update(idle)
            for where in idle:
                self._loads.pop(where, None)
            return [self._inner.pop(where) for where in idle
                    if where in self._inner]

    def _attempts(self, request: httpx.Request) -> Attempts:
        return Attempts(
            self._balancer, request.method,
            isinstance(request.stream, httpx.ByteStream),
            request.extensions.get('timeout', {}).get('connect'))

    def _request(self, request: httpx.Request, server: Server,
                 attempts: Attempts) -> httpx.Request:
        """Return the request for a server."""
        extensions = dict(request.extensions)
        if 'timeout' in extensions:
            extensions['timeout'] = {**extensions['timeout'],
                                     'connect': attempts.connect_s}
        if request.url.scheme == 'https':
            extensions.setdefault('sni_hostname', self._name(request))
        headers = request.headers.copy()
        if self._host is not None:
            headers['Host'] = self._host
        return httpx.Request(
            request.method,
            request.url.copy_with(host=server.host, port=server.port),
            headers=headers, stream=request.stream, extensions=extensions)

    def _again(self, attempts: Attempts, lease: Lease,
               error: BaseException) -> Lease:
        """End a failed attempt, and return the next server's lease.

        Raises `error` if there is none, or if that is no failure of a
        transport, as when the task is cancelled.
        """
        self._over(lease.server)
        if not isinstance(error, httpx.TransportError):
            lease.done(error)
            raise error
        following = attempts.again(lease, error, failure_of(error))
        if following is None:
            raise error
        return following

    def _name(self, request: httpx.Request) -> str:
        if self._host is None:
            return request.url.host
        return httpx.URL(f'https://{self._host}').host


class Transport(_Transports, httpx.BaseTransport):
    """A transport for `httpx.Client`; mount it at a prefix.

    `host` is for the Host field, by default the URL's. The other arguments
    are those of `httpx.HTTPTransport`.
    """

    kind = httpx.HTTPTransport

    def __init__(self, balancer: Balancer, host: str | None = None,
                 **options: Any) -> None:
        super().__init__(balancer, host, options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to a server; to another one where that is safe."""
        for transport in self._idle():
            transport.close()
        attempts = self._attempts(request)
        try:
            lease = attempts.first()
        except NoServers as error:
            raise NoServersError(str(error), request) from error
        while True:
            server = lease.server
            inner = self._take(server)
            try:
                response = inner.handle_request(
                    self._request(request, server, attempts))
            except BaseException as error:  # noqa: BLE001 (or raised)
                lease = self._again(attempts, lease, error)
                continue
            response.stream = _Stream(self, response.stream, lease)
            response.extensions['server'] = server
            return response

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            closing, self._inner = self._inner, {}
        for transport in closing.values():
            transport.close()


class AsyncTransport(_Transports, httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`; see `Transport`."""

    kind = httpx.AsyncHTTPTransport

    def __init__(self, balancer: Balancer, host: str | None = None,
                 **options: Any) -> None:
        super().__init__(balancer, host, options)

    async def handle_async_request(self, request: httpx.Request
                                   ) -> httpx.Response:
        """Send a request to a server; to another one where that is safe."""
        for transport in self._idle():
            await transport.aclose()
        attempts = self._attempts(request)
        lease = await self._first(attempts, request)
        while True:
            server = lease.server
            inner = self._take(server)
            try:
                response = await inner.handle_async_request(
                    self._request(request, server, attempts))
            except BaseException as error:  # noqa: BLE001 (or raised)
                lease = self._again(attempts, lease, error)
                continue
            response.stream = _AsyncStream(self, response.stream, lease)
            response.extensions['server'] = server
            return response

    async def _first(self, attempts: Attempts,
                     request: httpx.Request) -> Lease:
        balancer, rest_s = self._balancer, attempts.rest_s
        wait_s = (balancer.wait if rest_s is None
                  else min(rest_s, balancer.wait))
        deadline = time.monotonic() + wait_s
        while True:
            lease = balancer.try_lease()
            if lease is not None:
                return lease
            if time.monotonic() >= deadline:
                raise NoServersError(str(balancer.no_servers()), request)
            await anyio.sleep(POLL_S)

    async def aclose(self) -> None:
        """Close all connections."""
        with self._lock:
            closing, self._inner = self._inner, {}
        for transport in closing.values():
            await transport.aclose()


class _Stream(httpx.SyncByteStream):
    """The body of a response, whose end is that of the request."""

    def __init__(self, owner: _Transports, stream: Any,
                 lease: Lease) -> None:
        self._owner: _Transports | None = owner
        self._stream = stream
        self._lease = lease

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.TransportError as error:
            self._end(error)
            raise

    def close(self) -> None:
        """End the request."""
        try:
            self._stream.close()
        finally:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _end(self, error: Exception | None = None) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner._over(self._lease.server)
            self._lease.done(error, failed=isinstance(error, BROKEN))


class _AsyncStream(httpx.AsyncByteStream):
    """The same for `AsyncTransport`."""

    def __init__(self, owner: _Transports, stream: Any,
                 lease: Lease) -> None:
        self._whole = _Stream(owner, stream, lease)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except httpx.TransportError as error:
            self._whole._end(error)
            raise

    async def aclose(self) -> None:
        """End the request."""
        try:
            await self._stream.aclose()
        finally:
            self._whole._end()


def failure_of(error: Exception) -> Failure:
    """Return what an exception of `httpx` says of the server."""
    if isinstance(error, CONNECTING):
        return Failure.CONNECT
    if isinstance(error, BROKEN):
        return Failure.BROKEN
    return Failure.OTHER
