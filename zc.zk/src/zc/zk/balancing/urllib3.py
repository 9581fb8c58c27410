"""A pool manager for `urllib3`: each request goes to a server of a path.

::

    pool = Pool(Balancer(zk, '/cms/providers'))
    pool.request('GET', 'http://cms/news')

The host of the URL names the service: it is in the Host field. The response
has the `zc.zk.servers.Server` that has answered as `server`. Redirects are
returned, not followed: they may lead elsewhere.
"""
from __future__ import annotations

import weakref
from typing import Any

import urllib3
import urllib3.exceptions
from urllib3.util import Timeout
from urllib3.util import parse_url
from zc.zk.balancing.attempts import Attempts
from zc.zk.balancing.attempts import Failure
from zc.zk.balancing.attempts import can_repeat
from zc.zk.balancing.balancer import Balancer
from zc.zk.balancing.balancer import Lease
from zc.zk.balancing.balancer import NoServers
from zc.zk.servers import Server

#: What `urllib3` raises before anything was sent; a pool is closed when its
#: server has left.
CONNECTING = (urllib3.exceptions.NewConnectionError,
              urllib3.exceptions.ConnectTimeoutError,
              urllib3.exceptions.ClosedPoolError)

#: The most servers to which connections are kept; `urllib3` keeps those of 10.
MAX_POOLS = 1000


class NoServersError(NoServers, urllib3.exceptions.HTTPError):
    """`NoServers`, as `urllib3` raises it."""


class Pool(urllib3.PoolManager):
    """Sends requests to the servers of a balancer.

    `host` is for the Host field, by default the URL's host and port. The
    other arguments are those of `urllib3.PoolManager`; retries are the
    balancer's, so that `retries` is ignored.
    """

    def __init__(self, balancer: Balancer, host: str | None = None,
                 **options: Any) -> None:
        options.setdefault('num_pools', MAX_POOLS)
        super().__init__(**options)
        self._balancer = balancer
        self._host = host
        balancer.on_leave(self._forget)

    def urlopen(self, method: str, url: str, redirect: bool = True,
                **options: Any) -> Any:
        """Send a request to a server; to another one where that is safe."""
        parsed = parse_url(url)
        host = self._host or parsed.netloc or ''
        headers = dict(options.pop('headers', None) or self.headers)
        if not any(name.lower() == 'host' for name in headers):
            headers['Host'] = host.rpartition('@')[2]
        timeout = options.pop('timeout', None)
        timeout = (timeout if isinstance(timeout, Timeout)
                   else Timeout.from_float(timeout))
        options |= {'headers': headers, 'retries': False, 'redirect': False,
                    'assert_same_host': False}
        attempts = Attempts(
            self._balancer, method, can_repeat(options.get('body')),
            _seconds(timeout.connect_timeout))
        try:
            lease: Lease | None = attempts.first()
        except NoServers as error:
            raise NoServersError(*error.args) from error
        while lease is not None:
            server = lease.server
            try:
                response: Any = self.connection_from_host(
                    server.host, server.port, parsed.scheme or 'http',
                    tls_names(parsed.scheme, host)).urlopen(
                        method, parsed.request_uri, timeout=Timeout(
                            connect=attempts.rest_s,
                            read=timeout.read_timeout), **options)
            except urllib3.exceptions.HTTPError as error:
                failed = error
            except BaseException as error:
                lease.done(error)
                raise
            else:
                return _answered(response, lease, options)
            lease = attempts.again(lease, failed, failure_of(failed))
        raise failed

    def _forget(self, server: Server) -> None:
        close_idle(self, server)


def _answered(response: Any, lease: Lease, options: dict[str, Any]) -> Any:
    response.server = lease.server
    if options.get('preload_content', True):
        lease.done()
    else:
        # The request is over when the response is read, or dropped.
        weakref.finalize(response, lease.done)
    return response


def failure_of(error: Exception) -> Failure:
    """Return what an exception of `urllib3` says of the server."""
    if isinstance(error, CONNECTING):
        return Failure.CONNECT
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return Failure.BROKEN
    return Failure.OTHER


def tls_names(scheme: str | None, host: str) -> dict[str, Any] | None:
    """Return what makes a certificate count that is for the service's name.

    None without TLS.
    """
    if scheme != 'https':
        return None
    name = parse_url(f'//{host}').host
    return {'server_hostname': name, 'assert_hostname': name}


def close_idle(manager: urllib3.PoolManager, server: Server) -> None:
    """Close the idle connections to a server; those in use go on."""
    for key in manager.pools.keys():
        if (key.key_host, key.key_port) == (server.host, server.port):
            # The container closes what is taken out of it.
            try:
                del manager.pools[key]
            except KeyError:
                continue    # another thread was faster


def _seconds(timeout: Any) -> float | None:
    return timeout if isinstance(timeout, int | float) else None
