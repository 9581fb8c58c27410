"""Make, connect and stop kazoo clients, in bounded time.

Reconnecting: kazoo's default back-off grows until sessions expire that could
have been kept. With `RETRY` the pauses double from 0.1 s to 1 s, each made up
to half longer or shorter at random, and the attempts never end. The random
part keeps a thousand servers from reconnecting all at once.

Expiry: only a server decides that a session is over, and tells the client
when it connects again (ZooKeeper Programmer's Guide, "ZooKeeper Sessions"). A
disconnected client does not know.
"""
import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from kazoo.exceptions import ConnectionClosedError
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
from zc.zk.connection.session import SessionClient
from zc.zk.connection.sockets import CONNECT_TIMEOUT_S
from zc.zk.connection.sockets import BoundedHandler
from zc.zk.errors import FailedConnect

logger = logging.getLogger('zc.zk.connection')

#: The pauses between attempts, in seconds, as KazooRetry takes them.
RETRY = dict(max_tries=-1, delay=.1, backoff=2, max_delay=1, max_jitter=.5)

#: The longest time for attempts that all servers refuse at once.
REFUSED_LIMIT_S = 2.0

#: The longest time for a server to confirm that a session is closed.
CLOSE_TIMEOUT_S = 1.0


def make_client(connection_string: str, session_timeout: float, *,
                auth: Iterable[tuple[str, str]] | None = None,
                ca: str | None = None, cert: str | None = None,
                key: str | None = None) -> SessionClient:
    """Return a kazoo client that is not started yet.

    `session_timeout` is in seconds, as KazooClient takes it. `auth` holds
    pairs of scheme and credential; `ca`, `cert` and `key` are names of PEM
    files. Raises ValueError or TypeError for arguments that cannot be used.
    """
    check_connection_string(connection_string)
    if not session_timeout > 0:
        raise ValueError(f'a session time-out of {session_timeout} s is not '
                         'possible')
    kazoo_logger = RateLimitedLogger(logging.getLogger('kazoo.client'))
    wrap = None
    if ca or cert or key:
        from zc.zk.connection import tls
        wrap = partial(tls.wrap, tls.make_context(ca, cert, key))
    servers = connection_string.partition('/')[0].count(',') + 1
    client = SessionClient(
        connection_string,
        timeout=session_timeout,
        handler=BoundedHandler(servers, wrap),
        auth_data=list(map(_check_credential, auth or ())),
        connection_retry=RETRY,
        command_retry=_command_retry(),
        use_ssl=wrap is not None,
        logger=kazoo_logger,
    )

    @client.add_listener
    def state_changed(state: str) -> None:
        if (state == KazooState.CONNECTED
                and not client._connection.is_distrusted):
            kazoo_logger.reset()

    return client


def _command_retry() -> KazooRetry:
    # An overloaded server refuses requests that have waited for too long;
    # see zookeeper.throttled_op_wait_time in ZooKeeper's Administrator's
    # Guide. kazoo would not try them again.
    retry = KazooRetry(**RETRY)
    retry.retry_exceptions += (ThrottledOpError,)
    return retry


def check_connection_string(connection_string: str) -> None:
    """Raise ValueError for a text that kazoo cannot use, or misreads."""
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
        # The text does not show the value: it may be a password.
        raise TypeError('auth: pairs of scheme and credential, both text, '
                        'are needed')
    return pair[0], Credential(pair[1])


def connect(client: SessionClient, session_timeout: float,
            wait: bool | Callable[[], bool] = False) -> None:
    """Start a client and return when its session works.

    Raises FailedConnect when no server answers in time, or when a server
    refuses the credentials; then nothing is left open or running. The time
    is one and a half times the session time-out, from 1 to 15 seconds. It is
    `REFUSED_LIMIT_S` if every server refuses the connection.

    With a true `wait` there is no limit. If `wait` is callable, it is called
    several times a second and returns whether to go on.
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
    finally:
        deadline.forget()


class ConnectDeadline:
    """Decide how long a client may try to connect; see `connect`.

    With `wait`, a warning is logged at once and then every minute.
    """

    def __init__(self, client: KazooClient, session_timeout: float,
                 wait: bool | Callable[[], bool]) -> None:
        self._client = client
        self._limit = min(max(session_timeout * 1.5, 1.0), 15.0)
        self._wait = wait
        self._began = time.monotonic()
        self._next_report = self._began
        self._is_refused = False
        client.add_listener(self._note_refusal)

    def forget(self) -> None:
        """Listen to the client no more."""
        self._client.remove_listener(self._note_refusal)

    def _note_refusal(self, state: str) -> None:
        # The client is AUTH_FAILED for a moment only, and CLOSED then.
        if self._client.client_state == KeeperState.AUTH_FAILED:
            self._is_refused = True

    def check(self) -> None:
        """Raise FailedConnect if the time is over.

        Raises AuthFailedError if a server has refused the credentials.
        """
        if self._is_refused:
            raise AuthFailedError()
        if not self._wait:
            self._check_limit()
        elif callable(self._wait) and not self._wait():
            raise FailedConnect('gave up waiting for ZooKeeper at '
                                + self._servers())
        elif time.monotonic() >= self._next_report:
            self._next_report += REPORT_INTERVAL_S
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
        """Return the servers, and why connecting to them failed."""
        failures = self._client.handler.failures.values()
        why = sorted({str(getattr(failure, 'strerror', None) or failure)
                      for failure in list(failures)})
        where = format_servers(self._client)
        return f'{where} ({", ".join(why)})' if why else where


def is_usable(client: KazooClient) -> bool:
    """Return whether the session works; log if the chroot is missing."""
    try:
        root = client.exists_async('/').get(timeout=CONNECT_TIMEOUT_S)
    except NoAuthError:
        return True  # the root exists, and exists asks for READ on it
    except (ConnectionClosedError, ConnectionLoss, SessionExpiredError,
            ThrottledOpError, KazooTimeoutError):
        return False
    if root is None:
        logger.warning('ZooKeeper at %s has no node %s, the root of the '
                       'connection', format_servers(client), client.chroot)
    return True


def format_servers(client: KazooClient) -> str:
    """Return the servers of a client as text, for messages."""
    return ', '.join(format_addr(host, port) for host, port in client.hosts)


def disconnect(client: SessionClient) -> None:
    """End the session and free everything, in bounded time.

    If the server does not answer within `CLOSE_TIMEOUT_S`, the connection is
    cut. The session, and with it the ephemeral nodes, then lives until the
    server expires it. In a forked child, the session stays as it is.
    """
    if client.is_forked:
        client.close()
        return
    cut = threading.Timer(CLOSE_TIMEOUT_S, client.handler.abort)
    cut.daemon = True
    cut.start()
    try:
        client.stop()
        client.close()
    finally:
        cut.cancel()
        cut.join()
