"""The node of a service in ZooKeeper: connect, register, keep, withdraw.

zc.zk keeps the node as it should be while the server serves.  The errors that
ZooKeeper answers are kazoo's in zc.zk, and therefore here.
"""
from __future__ import annotations

import logging
import os
import posixpath
import stat
import threading
import time
from collections.abc import Callable

import zc.zk
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ZookeeperError
from kazoo.handlers.threading import KazooTimeoutError
from zc.zk.printable import printable

from zc.zkzopeserver import addresses
from zc.zkzopeserver import nodeformat
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.sessionkeys import own_key

logger = logging.getLogger('zc.zkzopeserver.registration')

# Seconds between two attempts to register at a path that is not there yet, or
# not open to us, and between two lines of log about it.
RETRY_S = 1
REPORT_S = 60

# The longest time in which the nodes are counted.
COUNT_TIMEOUT_S = 5.0


class ServiceRegistration:
    """The registration of one service.

    The constructor reads what the options name (a file of credentials,
    certificates, an interface), and raises ConfigurationError for what is not
    usable.  `register` connects; it runs in the announcer's thread, and
    `withdraw` and `close` in the thread that stops the service.

    `on_session` is called with the key of each new session, before there are
    nodes in it, and with None once the nodes are gone for good.
    """

    def __init__(self, options: Options,
                 on_session: Callable[[SessionKey | None], None]
                 = lambda key: None) -> None:
        self._options = options
        self._on_session = on_session
        self._auth = read_auth_file(options.zookeeper_auth_file)
        for name in 'zookeeper_ca', 'zookeeper_cert', 'zookeeper_key':
            check_readable(name, getattr(options, name))
        check_tls(options)
        addresses.check_advertise(options.advertise)
        # Guards the hand-over from `register` to `withdraw` and `close`.
        self._lock = threading.Lock()
        # None until `register` has connected, and until it has registered.
        self._zk: zc.zk.ZooKeeper | None = None
        self._node: zc.zk.Registration | None = None
        self._withdrawn = False
        # Whether the server has left by itself: it hangs, or is sick.
        self._is_out = False
        self._closed = False
        #: Whether clients may have seen the nodes.  ZooKeeper may have created
        #: them before its answer arrives here.
        self.may_be_known = False
        # Whether the session may still have nodes.
        self._may_remain = False

    def register(self, address: tuple[str, int],
                 monitor: tuple[str, int] | str | None,
                 stopping: threading.Event,
                 metrics: tuple[str, int] | None = None) -> bool:
        """Create the node of the server at `address`, (host, port).

        `monitor` and `metrics` are where these listen.  Return True once the
        node is there, False when `stopping` was set meanwhile.  Raise
        RegistrationError when ZooKeeper cannot be reached, or refuses the
        node, unless the option `wait` says to go on trying.  `close` from
        another thread ends it.
        """
        try:
            return self._register(address, monitor, stopping, metrics)
        except Exception:
            if stopping.is_set():
                return False  # the stop has closed the session
            raise

    def _register(self, address: tuple[str, int],
                  monitor: tuple[str, int] | str | None,
                  stopping: threading.Event,
                  metrics: tuple[str, int] | None) -> bool:
        zk = self._connect(stopping)
        if zk is None:
            return False
        report_at = time.monotonic()
        while not stopping.is_set():
            try:
                return self._create(zk, address, monitor, metrics)
            except (ZookeeperError, zc.zk.LinkLoop) as error:
                problem = self._problem(error)
            if self._options.wait == 'fail':
                raise RegistrationError(problem)
            if time.monotonic() >= report_at:
                logger.warning('%s; waiting for it', problem)
                report_at = time.monotonic() + REPORT_S
            stopping.wait(RETRY_S)
        return False

    def _connect(self, stopping: threading.Event) -> zc.zk.ZooKeeper | None:
        """Return a connected client; None when `stopping` was set."""
        options = self._options
        wait = options.wait != 'fail' and (lambda: not stopping.is_set())
        try:
            zk = zc.zk.ZooKeeper(
                options.zookeeper, options.session_timeout_s, wait,
                auth=self._auth, ca=options.zookeeper_ca,
                cert=options.zookeeper_cert, key=options.zookeeper_key)
        except zc.zk.FailedConnect as error:
            if not stopping.is_set():
                raise RegistrationError(
                    f"option 'zookeeper': {error}") from None
            return None
        self._follow_sessions(zk)
        with self._lock:
            self._zk = zk
            closed = self._closed
        if closed:
            self.close()
        return zk

    def _follow_sessions(self, zk: zc.zk.ZooKeeper) -> None:
        """Report the session, and each that follows when it is lost."""
        options = self._options
        known: list[object] = []

        def look(state: str) -> None:
            client_id = zk.client.client_id
            if client_id is not None and client_id not in known:
                known[:] = [client_id]
                self._on_session(own_key(
                    client_id, options.zookeeper,
                    (options.zookeeper_ca, options.zookeeper_cert,
                     options.zookeeper_key)))

        zk.client.add_listener(look)
        look('')

    def _create(self, zk: zc.zk.ZooKeeper, address: tuple[str, int],
                monitor: tuple[str, int] | str | None,
                metrics: tuple[str, int] | None) -> bool:
        options = self._options
        address = addresses.advertised_address(
            options.advertise, address, options.zookeeper)
        properties = options.properties | nodeformat.properties(
            options.node_format, address, monitor, metrics)
        acl = (zc.zk.creator_acl() if self._auth
               else zc.zk.READ_ACL_UNSAFE)
        self.may_be_known = self._may_remain = True
        try:
            node = zk.register(options.path, address, acl, **properties)
        except (ZookeeperError, zc.zk.LinkLoop) as error:
            # ZooKeeper has refused, or its answer was lost: then the node may
            # have been there.
            self.may_be_known = self._may_remain = isinstance(
                error, (ConnectionLoss, SessionExpiredError))
            raise
        with self._lock:
            self._node = node
            withdrawn = self._withdrawn
        if withdrawn:
            # The stop came while ZooKeeper was answering.
            self._remove(node)
            return False
        return True

    def _problem(self, error: Exception) -> str:
        """Return why there is no node: a line for the operator."""
        options = self._options
        if isinstance(error, zc.zk.LinkLoop):
            return f"option 'path': {error}"
        zookeeper = f'in the ZooKeeper at {options.zookeeper}'
        where = f'{options.path} {zookeeper}'
        if isinstance(error, zc.zk.NoNodeError):
            # The text is the missing node, and the links that led there.
            missing = printable(error) or options.path
            return (f"option 'path': there is no {missing} {zookeeper}; put it"
                    ' into a tree'
                    ' file and import that with'
                    f' zookeeper_import {options.zookeeper} FILE')
        if isinstance(error, NoAuthError):
            return (f"option 'path': not allowed to register at {where}:"
                    f' {printable(error)}').removesuffix(': ')
        return (f"option 'path': cannot register at {where}:"
                f' {type(error).__name__}')

    # Readable from any thread.

    @property
    def is_connected(self) -> bool:
        """Whether `register` has connected to ZooKeeper."""
        return self._zk is not None

    @property
    def is_kept(self) -> bool:
        """Whether zc.zk's threads run; True before `register`, and closed."""
        zk = self._zk
        return zk is None or self._closed or zk.is_alive()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the nodes; empty before they were registered."""
        return self._node.paths if self._node else ()

    @property
    def state(self) -> str:
        """``connecting``, or the state of `zc.zk.Registration`."""
        return self._node.state if self._node else 'connecting'

    @property
    def reregistered(self) -> int:
        """The number of times that the nodes were created again."""
        return self._node.reregistered if self._node else 0

    @property
    def last_error(self) -> str | None:
        """The last thing that went wrong with the nodes; None for nothing."""
        return self._node.last_error if self._node else None

    # Stop.

    def withdraw(self, mark: bool = False) -> None:
        """Remove the nodes, and keep them away.

        With `mark`, consumers can tell that from a lost connection: see
        `zc.zk.registration.marks`.
        """
        with self._lock:
            self._withdrawn = True
            node = self._node
        if node is not None:
            self._remove(node, mark)

    def _remove(self, node: zc.zk.Registration,
                mark: bool = False) -> None:
        if node.withdraw(mark=mark):
            self._may_remain = False
        logger.info('withdrew %s', printable(', '.join(node.paths)))

    def restore(self) -> None:
        """Put the nodes back after a `withdraw`."""
        with self._lock:
            self._withdrawn = False
            node = None if self._is_out else self._node
        self._put_back(node)

    def _put_back(self, node: zc.zk.Registration | None) -> None:
        if node is not None:
            self._may_remain = True
            node.restore()
            if self._withdrawn:
                # The stop came in between.
                self._remove(node)

    def count(self) -> int:
        """Return how many nodes there are, ours among them; 0: not known.

        ZooKeeper is asked.
        """
        zk, paths = self._zk, self.paths
        if zk is None or not paths or not zk.client.connected:
            return 0
        try:
            names = zk.client.get_children_async(
                posixpath.dirname(paths[0])).get(timeout=COUNT_TIMEOUT_S)
        except (KazooException, KazooTimeoutError):
            return 0
        return len(names)

    def leave(self, others: int) -> bool:
        """Remove the nodes if `others` nodes of others are left then.

        Return whether they are gone; else they stay.
        """
        with self._lock:
            node, is_gone = self._node, self._withdrawn
        if not is_gone:
            # Not without a look: `leave` writes before it looks.
            if node is None or self.count() - len(node.paths) < others:
                return False
            if not node.leave(others):
                return False
            self._may_remain = False
        with self._lock:
            self._is_out = True
        return True

    def come_back(self) -> None:
        """Put the nodes back after a `leave`, unless they are withdrawn."""
        with self._lock:
            self._is_out = False
            node = None if self._withdrawn else self._node
        self._put_back(node)

    def close(self) -> None:
        """End the session; nodes that are left go with it."""
        with self._lock:
            self._closed = True
            zk = self._zk
        if zk is not None:
            zk.close()
            # A stop in the middle of `register` knows of no node to remove.
            if zk.has_ended_session or not self._may_remain:
                self._on_session(None)


def offer_servers() -> None:
    """Add zc.zk's command ``servers`` to the monitors of this process."""
    from zc.zk import monitor
    monitor.register()


def check_readable(name: str, path: str | None) -> None:
    """Raise ConfigurationError when the file of an option cannot be read."""
    if path is not None:
        try:
            with open(path, 'rb'):
                pass
        except OSError as error:
            raise ConfigurationError(
                f'option {name!r}: cannot read {path}:'
                f' {error.strerror}') from None


def check_tls(options: Options) -> None:
    """Raise ConfigurationError when the files for TLS hold something else."""
    files = (options.zookeeper_ca, options.zookeeper_cert,
             options.zookeeper_key)
    if any(files):
        from zc.zk.connection import tls
        try:
            tls.make_context(*files)
        except ValueError as error:
            raise ConfigurationError(
                "options 'zookeeper_ca', 'zookeeper_cert', 'zookeeper_key':"
                f' {error}') from None


def read_auth_file(path: str | None) -> list[tuple[str, str]] | None:
    """Return ``[('digest', 'USER:PASSWORD')]`` of a file, None for no file.

    Raise ConfigurationError for a file that other users can read, or that
    holds anything else.  No message contains the credentials.
    """
    if path is None:
        return None
    where = "option 'zookeeper_auth_file': "
    try:
        with open(path, encoding='utf-8') as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except OSError as error:
        raise ConfigurationError(
            f'{where}cannot read {path}: {error.strerror}') from None
    except UnicodeDecodeError:
        raise ConfigurationError(f'{where}{path} is not UTF-8 text') from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f'{where}{path} can be read or written by others (mode'
            f' {stat.S_IMODE(mode):04o}); it must be 0600 or stricter')
    scheme, _, credential = text.strip().partition(' ')
    credential = credential.strip()
    user, colon, password = credential.partition(':')
    if (scheme != 'digest' or not (user and colon and password)
            or '\n' in credential):
        raise ConfigurationError(
            f'{where}{path} does not hold one line digest USER:PASSWORD')
    return [(scheme, credential)]
