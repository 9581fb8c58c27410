"""A pool manager for `urllib3`: each request goes to a server of a path.

::

    pool = Pool(Balancer(zk, '/cms/providers'))
    pool.request('GET', 'http://cms/news')

The host of the URL names the service: it is in the Host field. The response
has the `zc.zk.servers.Server` that has answered as `server`. Redirects are
returned, not followed: they may lead elsewhere.
"""
from __future__ import annotations

import time
import weakref
from typing import Any

import urllib3
import urllib3.exceptions
from urllib3._collections import RecentlyUsedContainer
from urllib3.util import Timeout
from urllib3.util import parse_url
from zc.zk.balancing.attempts import SHORTEST_S
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

#: The most connections to a server that are kept, as `requests` has it;
#: `urllib3` keeps one.
MAX_KEPT = 10


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
        options.setdefault('maxsize', MAX_KEPT)
        super().__init__(**options)
        self._num_pools = options['num_pools']
        self._balancer = balancer
        self._host = host
        balancer.on_leave(self._forget)
        balancer.on_fork(self._forked)

    def urlopen(self, method: str, url: str, redirect: bool = True,
                **options: Any) -> Any:
        """Send a request to a server; to another one where that is safe."""
        parsed = parse_url(url)
        host = self._host or parsed.netloc or ''
        headers = dict(options.pop('headers', None) or self.headers)
        if not any(name.lower() == 'host' for name in headers):
            headers['Host'] = host.rpartition('@')[2]
        timeouts = Timeouts(options.pop('timeout', None))
        options |= {'headers': headers, 'retries': False, 'redirect': False,
                    'assert_same_host': False}
        attempts = Attempts(
            self._balancer, method, can_repeat(options.get('body')),
            timeouts.connect_s)
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
                        method, parsed.request_uri,
                        timeout=timeouts.of(attempts), **options)
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

    def _forked(self) -> None:
        # The connections are the parent's; it may use them now.
        self.pools: Any = RecentlyUsedContainer(self._num_pools)


def _answered(response: Any, lease: Lease, options: dict[str, Any]) -> Any:
    response.server = lease.server
    if options.get('preload_content', True):
        lease.done()
    else:
        end_with(response, lease)
    return response


def end_with(response: Any, lease: Lease) -> None:
    """End a request when its response is read, closed or dropped."""
    kind = type(response)
    # Not the response itself: it would be dropped late, as a part of a cycle.
    reference = weakref.ref(response)

    def release_conn() -> None:
        lease.done()
        found = reference()
        if found is not None:
            kind.release_conn(found)

    def close() -> None:
        lease.done()
        found = reference()
        if found is not None:
            kind.close(found)

    response.release_conn = release_conn
    response.close = close
    weakref.finalize(response, lease.done)


class Timeouts:
    """The time-outs of one request, as `urllib3` takes them.

    `given` is a number of seconds, None, or a `urllib3.util.Timeout`, whose
    total is that of all attempts.
    """

    def __init__(self, given: Any) -> None:
        self._given: Timeout = (given if isinstance(given, Timeout)
                                else Timeout.from_float(given))
        #: The seconds for connecting; None is without limit.
        self.connect_s = _seconds(self._given.connect_timeout)
        total_s = _seconds(self._given.total)
        self._deadline = (None if total_s is None
                          else time.monotonic() + total_s)

    def of(self, attempts: Attempts) -> Timeout:
        """Return the time-outs of the next attempt."""
        total_s = None
        if self._deadline is not None:
            total_s = max(SHORTEST_S, self._deadline - time.monotonic())
        return Timeout(total=total_s, connect=attempts.connect_s,
                       read=self._given._read)


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
