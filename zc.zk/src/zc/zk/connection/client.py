"""The kazoo client: how it connects, retries, authenticates and stops.

Reconnecting: kazoo's own back-off grows until sessions are lost that could
have been kept. Ours doubles from 0.1 s up to 1 s, each pause made up to half
longer or shorter by chance, so that a thousand servers do not come back in
step, and it never ends.

kazoo never says by itself that a session is lost while it is disconnected:
only a server can, after the next connect.
"""
import logging
import ssl
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ThrottledOpError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry
from zc.zk.addresses import format_addr
from zc.zk.addresses import parse_addr
from zc.zk.connection.logs import REPORT_INTERVAL_S
from zc.zk.connection.logs import Credential
from zc.zk.connection.logs import RateLimitedLogger
from zc.zk.connection.sockets import CONNECT_TIMEOUT_S
from zc.zk.connection.sockets import BoundedHandler
from zc.zk.errors import FailedConnect

logger = logging.getLogger('zc.zk.connection')

RETRY = dict(max_tries=-1, delay=.1, backoff=2, max_delay=1, max_jitter=.5)

#: How long all servers may refuse us at once before we stop asking.
REFUSED_LIMIT_S = 2.0

#: How long a server gets to answer that a session is closed.
CLOSE_TIMEOUT_S = 1.0


def make_client(connection_string: str, session_timeout: float, *,
                auth: Iterable[tuple[str, str]] | None = None,
                ca: str | None = None, cert: str | None = None,
                key: str | None = None) -> KazooClient:
    """A kazoo client that is not started yet."""
    check_connection_string(connection_string)
    if not session_timeout > 0:
        raise ValueError(f'a session time-out of {session_timeout} s is not '
                         'possible')
    quiet = RateLimitedLogger(logging.getLogger('kazoo.client'))
    tls = tls_context(ca, cert, key) if ca or cert or key else None
    servers = connection_string.partition('/')[0].count(',') + 1
    client = KazooClient(
        connection_string,
        timeout=session_timeout,
        handler=BoundedHandler(servers, tls),
        auth_data=list(map(_check_credential, auth or ())),
        connection_retry=RETRY,
        command_retry=_command_retry(),
        use_ssl=tls is not None,
        logger=quiet,
    )

    @client.add_listener
    def state_changed(state: str) -> None:
        if state == KazooState.CONNECTED:
            quiet.reset()

    return client


def _command_retry() -> KazooRetry:
    # Servers with too much to do refuse requests, which is to be tried again.
    retry = KazooRetry(**RETRY)
    retry.retry_exceptions += (ThrottledOpError,)
    return retry


def check_connection_string(connection_string: str) -> None:
    """Raise ValueError for what kazoo would stumble over."""
    servers = connection_string.partition('/')[0].split(',')
    for server in servers:
        host, _, port = server.strip().rpartition(':')
        if server.strip().endswith(']') or not host:
            host, port = server.strip(), '2181'
        try:
            parse_addr(f'{host}:{port}')
        except ValueError:
            host = ''
        if not host or set(host) & set(' \t\n@?#'):
            raise ValueError(
                f'{connection_string!r} is not a connection string, '
                'HOST:PORT[,HOST:PORT...][/PATH]')


def _check_credential(pair: Any) -> tuple[str, Credential]:
    if not (isinstance(pair, tuple | list) and len(pair) == 2
            and all(isinstance(part, str) for part in pair)):
        # Not shown: it may be somebody's password.
        raise TypeError('auth: pairs of scheme and credential, both text, '
                        'are needed')
    return pair[0], Credential(pair[1])


def tls_context(ca: str | None, cert: str | None,
                key: str | None) -> ssl.SSLContext:
    """TLS that checks the server's certificate and its name.

    ``ca``, ``cert`` and ``key`` are names of PEM files; without ``ca`` the
    system's authorities are trusted. Raises ValueError for files that cannot
    be used.
    """
    if key and not cert:
        raise ValueError(f'TLS: the key {key} is of no use without its '
                         'certificate')
    try:
        what, path = 'certificates of authorities', ca
        context = ssl.create_default_context(cafile=ca)
        if cert:
            what, path = 'certificate or its key', cert
            context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError as well
        raise ValueError(
            f'TLS: the {what} {path}: {error}') from None
    return context


def connect(client: KazooClient, session_timeout: float,
          wait: bool | Callable[[], bool] = False) -> None:
    """Connect, or raise FailedConnect with nothing left open or running.

    Without ``wait`` the servers get one and a half times the session
    time-out, 15 seconds at most, and 2 seconds when all of them refuse us.
    A callable ``wait`` is asked again and again whether to go on.
    """
    deadline = ConnectDeadline(client, session_timeout, wait)
    try:
        live = client.start_async()
        while not (live.wait(.1) and is_usable(client)):
            deadline.check()
    except AuthFailedError:
        disconnect(client)
        raise FailedConnect(f'ZooKeeper at {format_servers(client)} refused '
                            'the credentials') from None
    except BaseException:
        disconnect(client)
        raise


class ConnectDeadline:
    """Decides how long a start goes on, and says so meanwhile."""

    def __init__(self, client: KazooClient, session_timeout: float,
                 wait: bool | Callable[[], bool]) -> None:
        self._client = client
        self._limit = min(max(session_timeout * 1.5, 1.0), 15.0)
        self._wait = wait
        self._began = time.monotonic()
        self._report = self._began

    def check(self) -> None:
        """Raise FailedConnect when it is time to give up."""
        if self._client.client_state == KeeperState.AUTH_FAILED:
            raise AuthFailedError()
        if not self._wait:
            self._check_limit()
        elif callable(self._wait) and not self._wait():
            raise FailedConnect('gave up waiting for ZooKeeper at '
                                + self._servers())
        elif time.monotonic() >= self._report:
            self._report += REPORT_INTERVAL_S
            logger.warning('Waiting for ZooKeeper at %s', self._servers())

    def _check_limit(self) -> None:
        limit = self._limit
        if self._client.handler.is_refused():
            limit = min(limit, REFUSED_LIMIT_S)
        seconds = time.monotonic() - self._began
        if seconds >= limit:
            raise FailedConnect(f'no ZooKeeper answered within {seconds:.1f} '
                                f's at {self._servers()}')

    def _servers(self) -> str:
        """The servers, and why they could not be connected to."""
        failures = self._client.handler.failures.values()
        why = sorted({str(getattr(failure, 'strerror', None) or failure)
                      for failure in list(failures)})
        where = format_servers(self._client)
        return f'{where} ({", ".join(why)})' if why else where


def is_usable(client: KazooClient) -> bool:
    """Whether the session works; says so where the chroot is missing."""
    try:
        root = client.exists_async('/').get(timeout=CONNECT_TIMEOUT_S)
    except NoAuthError:
        return True  # newer servers say so of a root that may not be read
    except (ConnectionLoss, SessionExpiredError, ThrottledOpError,
            KazooTimeoutError):
        return False
    if root is None:
        logger.warning('ZooKeeper at %s has no node %s, the root of the '
                       'connection', format_servers(client), client.chroot)
    return True


def format_servers(client: KazooClient) -> str:
    """The servers of a client, for messages."""
    return ', '.join(format_addr(host, port) for host, port in client.hosts)


def disconnect(client: KazooClient) -> None:
    """End the session and free everything, in bounded time.

    A server that does not answer is cut off after `CLOSE_TIMEOUT_S`; the
    session then ends when it expires.
    """
    cut = threading.Timer(CLOSE_TIMEOUT_S, client.handler.abort)
    cut.daemon = True
    cut.start()
    try:
        client.stop()
        client.close()
    finally:
        cut.cancel()
        cut.join()
