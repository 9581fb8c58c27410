"""An adapter for `requests`, which sends each request to a server of a path.

::

    session = requests.Session()
    session.mount('http://cms/', Adapter(Balancer(zk, '/cms/providers')))
    session.get('http://cms/news')

The slash is needed: ``http://cms`` would be the beginning of other names, too.
The host of the URL names the service: it is in the Host field, in cookies and
in `Response.url`. `Response.server` is the `zc.zk.servers.Server` that has
answered. Redirects are the session's business, as always.
"""
from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import requests.adapters
import requests.exceptions
import urllib3.exceptions
from urllib3.util import Timeout
from zc.zk.balancing.attempts import Attempts
from zc.zk.balancing.attempts import Failure
from zc.zk.balancing.attempts import can_repeat
from zc.zk.balancing.balancer import Balancer
from zc.zk.balancing.balancer import Lease
from zc.zk.balancing.balancer import NoServers
from zc.zk.balancing.urllib3 import MAX_POOLS
from zc.zk.balancing.urllib3 import Timeouts
from zc.zk.balancing.urllib3 import close_idle
from zc.zk.balancing.urllib3 import end_with
from zc.zk.balancing.urllib3 import failure_of
from zc.zk.balancing.urllib3 import tls_names
from zc.zk.servers import Server


class NoServersError(NoServers, requests.exceptions.ConnectionError):
    """`NoServers`, as `requests` raises it."""

    def __init__(self, message: str,
                 request: requests.PreparedRequest) -> None:
        requests.exceptions.RequestException.__init__(
            self, message, request=request)


class Adapter(requests.adapters.HTTPAdapter):
    """Sends requests to the servers of a balancer; mount it at a prefix.

    `host` is for the Host field, by default the URL's host and port. The
    other arguments are those of `requests.adapters.HTTPAdapter`; retries are
    the balancer's, so that `max_retries` is refused.
    """

    def __init__(self, balancer: Balancer, host: str | None = None,
                 **options: Any) -> None:
        if 'max_retries' in options:
            raise TypeError('max_retries: the balancer retries')
        self._balancer = balancer
        self._host = host
        # By what `requests` looks for them with more effort.
        self._pools: dict[tuple[Any, ...], Any] = {}
        options.setdefault('pool_connections', MAX_POOLS)
        super().__init__(**options)
        balancer.on_leave(self._forget)
        balancer.on_fork(self._forked)

    def send(self, request: requests.PreparedRequest, stream: bool = False,
             timeout: Any = None, verify: bool | str = True,
             cert: Any = None, proxies: Mapping[str, str] | None = None
             ) -> requests.Response:
        """Send a request to a server; to another one where that is safe."""
        if isinstance(timeout, tuple):
            connect_s, read_s = timeout
            timeout = Timeout(connect=connect_s, read=read_s)
        timeouts = Timeouts(timeout)
        attempts = Attempts(
            self._balancer, request.method or '', can_repeat(request.body),
            timeouts.connect_s)
        try:
            lease: Lease | None = attempts.first()
        except NoServers as error:
            raise NoServersError(str(error), request) from error
        while lease is not None:
            request.server = lease.server
            try:
                response = super().send(
                    request, stream, timeouts.of(attempts), verify, cert)
                return self._answered(response, lease, stream)
            except requests.exceptions.RequestException as error:
                failed, failure = error, _failure(error)
            except BaseException as error:
                lease.done(error)
                raise
            lease = attempts.again(lease, failed, failure)
        raise failed

    def _answered(self, response: requests.Response, lease: Lease,
                  stream: bool) -> requests.Response:
        response.server = lease.server
        if stream:
            end_with(response.raw, lease)
            return response
        _ = response.content
        lease.done()
        return response

    def add_headers(self, request: requests.PreparedRequest,
                    **options: Any) -> None:
        """Add the Host field: the service's name, not the server's."""
        if 'Host' not in request.headers:
            # The URL is prepared: it has a scheme, and a host.
            request.headers['Host'] = self._host or (
                request.url or '').split('/', 3)[2].rpartition('@')[2]

    def get_connection_with_tls_context(
            self, request: requests.PreparedRequest, verify: Any,
            proxies: Any = None, cert: Any = None) -> Any:
        """Return the connections of the server that was chosen.

        Over TLS its certificate is for the service's name.
        """
        server: Server = request.server
        scheme, _, rest = (request.url or '').partition('://')
        key = (server.host, server.port, scheme, verify, cert,
               scheme == 'https' and rest.partition('/')[0])
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= self._pool_connections:
                self._pools.pop(next(iter(self._pools)), None)
            pool = self._pools[key] = self._make_pool(
                request, server, verify, cert)
        return pool

    def _make_pool(self, request: requests.PreparedRequest, server: Server,
                   verify: Any, cert: Any) -> Any:
        where, tls = self.build_connection_pool_key_attributes(
            request, verify, cert)
        names = tls_names(where['scheme'], self._host or str(where['host']))
        return self.poolmanager.connection_from_host(
            server.host, server.port, where['scheme'],
            {**tls, **(names or {})})

    def close(self) -> None:
        """Close the idle connections."""
        self._pools = {}
        super().close()

    def _forked(self) -> None:
        # The connections are the parent's; it may use them now.
        self._pools = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize,
                              self._pool_block)

    def _forget(self, server: Server) -> None:
        for key in [key for key in list(self._pools)
                    if key[:2] == (server.host, server.port)]:
            self._pools.pop(key, None)
        close_idle(self.poolmanager, server)


def _failure(error: Exception) -> Failure:
    if isinstance(error, requests.exceptions.ReadTimeout):
        return Failure.OTHER
    reason: Any = error.args[0] if error.args else None
    with contextlib.suppress(AttributeError):
        reason = reason.reason      # of a MaxRetryError
    if isinstance(reason, urllib3.exceptions.HTTPError):
        return failure_of(reason)
    return Failure.OTHER
