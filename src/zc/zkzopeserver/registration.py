"""Our node in ZooKeeper: connect, register, keep, withdraw.

Only this module imports zc.zk, which keeps the node true while we serve;
ZooKeeper's own errors are kazoo's there too.
"""
from __future__ import annotations

import logging
import os
import stat
import threading
import time

import zc.zk
import zc.zk.connection.client
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import ZookeeperError

from zc.zkzopeserver import addresses
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.options import Options

logger = logging.getLogger('zc.zkzopeserver.registration')

# Seconds between two attempts to register at a path that is not there yet, or
# not open to us, and between two lines of log about it.
RETRY_S = 1
REPORT_S = 60


class Registration:
    """The registration of one server.

    The constructor reads what the options name (a file of credentials,
    certificates, an interface) and raises ConfigurationError for what is not
    usable; `register` connects.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._auth = read_auth_file(options.zookeeper_auth_file)
        for name in 'zookeeper_ca', 'zookeeper_cert', 'zookeeper_key':
            check_readable(name, getattr(options, name))
        check_tls(options)
        addresses.check_advertise(options.advertise)
        self._zk: zc.zk.ZooKeeper | None = None
        self._node: zc.zk.Registration | None = None
        # Guards the hand-over from `register`, in the announcer's thread, to
        # `withdraw` and `close`, in the thread that stops.
        self._lock = threading.Lock()
        self._withdrawn = False
        self._closed = False
        #: Whether clients may have seen our nodes, even where we have not yet
        #: heard that they were created.
        self.may_be_known = False

    def register(self, address: tuple[str, int],
                 monitor: tuple[str, int] | str | None,
                 stopping: threading.Event) -> bool:
        """Create the node for the server at `address`, (host, port).

        True when it is there; False when `stopping` was set meanwhile.
        RegistrationError, unless the option `wait` says to go on trying, when
        ZooKeeper cannot be reached, or refuses the node.  `close` from
        another thread ends it.
        """
        try:
            return self._register(address, monitor, stopping)
        except Exception:
            if stopping.is_set():
                return False  # closed under us, as a stop has it
            raise

    def _register(self, address: tuple[str, int],
                  monitor: tuple[str, int] | str | None,
                  stopping: threading.Event) -> bool:
        self._connect(stopping)
        report_at = time.monotonic()
        while not stopping.is_set():
            try:
                return self._create(address, monitor)
            except (ZookeeperError, zc.zk.LinkLoop) as reason:
                problem = self._problem(reason)
            if self._options.wait == 'fail':
                raise RegistrationError(problem)
            if time.monotonic() >= report_at:
                logger.warning('%s; waiting for it', problem)
                report_at = time.monotonic() + REPORT_S
            stopping.wait(RETRY_S)
        return False

    def _connect(self, stopping: threading.Event) -> None:
        options = self._options
        wait = options.wait != 'fail' and (lambda: not stopping.is_set())
        try:
            zk = zc.zk.ZooKeeper(
                options.zookeeper, options.session_timeout_s, wait,
                auth=self._auth, ca=options.zookeeper_ca,
                cert=options.zookeeper_cert, key=options.zookeeper_key)
        except zc.zk.FailedConnect as reason:
            if not stopping.is_set():
                raise RegistrationError(
                    f"option 'zookeeper': {reason}") from None
            return
        with self._lock:
            self._zk = zk
            closed = self._closed
        if closed:
            zk.close()

    def _create(self, address: tuple[str, int],
                monitor: tuple[str, int] | str | None) -> bool:
        options = self._options
        address = addresses.advertised_address(
            options.advertise, address, options.zookeeper)
        properties = dict(options.properties)
        if monitor is not None:
            properties['monitor'] = monitor_property(monitor, address)
        acl = (zc.zk.creator_acl() if self._auth
               else zc.zk.READ_ACL_UNSAFE)
        self.may_be_known = True
        try:
            node = self._zk.register(options.path, address, acl, **properties)
        except (ZookeeperError, zc.zk.LinkLoop):
            self.may_be_known = False  # ZooKeeper has refused
            raise
        with self._lock:
            self._node = node
            withdrawn = self._withdrawn
        if withdrawn:
            # The stop came while ZooKeeper was answering.
            node.withdraw()
            return False
        return True

    def _problem(self, reason: Exception) -> str:
        """Why there is no node: a line for the operator."""
        options = self._options
        if isinstance(reason, zc.zk.LinkLoop):
            return f"option 'path': {reason}"
        zookeeper = f'in the ZooKeeper at {options.zookeeper}'
        where = f'{options.path} {zookeeper}'
        if isinstance(reason, zc.zk.NoNodeError):
            # It names the node that is missing, and links that led there.
            missing = str(reason) or options.path
            return (f"option 'path': there is no {missing} {zookeeper}; put it"
                    ' into a tree'
                    ' file and import that with'
                    f' zookeeper_import {options.zookeeper} FILE')
        if isinstance(reason, NoAuthError):
            return (f"option 'path': not allowed to register at {where}:"
                    f' {reason}').removesuffix(': ')
        return (f"option 'path': cannot register at {where}:"
                f' {type(reason).__name__}')

    # Readable from any thread.

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of our nodes; none before they were registered."""
        return self._node.paths if self._node else ()

    @property
    def state(self) -> str:
        """``connecting``, or the state of `zc.zk.Registration`."""
        return self._node.state if self._node else 'connecting'

    @property
    def reregistered(self) -> int:
        """How often the nodes have been created again."""
        return self._node.reregistered if self._node else 0

    @property
    def last_error(self) -> str | None:
        """The last thing that went wrong with the nodes."""
        return self._node.last_error if self._node else None

    # Stop.

    def withdraw(self) -> None:
        """Remove the nodes, and keep them away."""
        with self._lock:
            self._withdrawn = True
            node = self._node
        if node is not None:
            node.withdraw()
            logger.info('withdrew %s', ', '.join(node.paths))

    def restore(self) -> None:
        """Put the nodes back after a `withdraw`."""
        with self._lock:
            self._withdrawn = False
            node = self._node
        if node is not None:
            node.restore()

    def close(self) -> None:
        """End the session; what is left of our nodes goes with it."""
        with self._lock:
            self._closed = True
            zk = self._zk
        if zk is not None:
            zk.close()


def offer_servers() -> None:
    """Give the monitor servers of the process zc.zk's command ``servers``."""
    from zc.zk import monitor
    monitor.register()


def monitor_property(monitor: tuple[str, int] | str,
                     address: tuple[str, int]) -> str:
    """The node's `monitor` property: HOST:PORT, or a unix socket's path.

    A monitor that listens on all interfaces is reached at the host of the
    server, or at the first of those that an empty host stands for.
    """
    if isinstance(monitor, str):
        return os.path.abspath(monitor)
    host, port = monitor[:2]
    if host in zc.zk.addresses.WILDCARDS:
        host = address[0]
    return zc.zk.addresses.node_names((host, port))[0]


def check_readable(name: str, path: str | None) -> None:
    """ConfigurationError when an option's file cannot be read."""
    if path is not None:
        try:
            with open(path, 'rb'):
                pass
        except OSError as reason:
            raise ConfigurationError(
                f'option {name!r}: cannot read {path}:'
                f' {reason.strerror}') from None


def check_tls(options: Options) -> None:
    """ConfigurationError when the files for TLS hold something else."""
    files = (options.zookeeper_ca, options.zookeeper_cert,
             options.zookeeper_key)
    if any(files):
        try:
            zc.zk.connection.client.tls_context(*files)
        except ValueError as reason:
            raise ConfigurationError(
                "options 'zookeeper_ca', 'zookeeper_cert', 'zookeeper_key':"
                f' {reason}') from None


def read_auth_file(path: str | None) -> list[tuple[str, str]] | None:
    """``[('digest', 'USER:PASSWORD')]`` from a file that only we can read.

    Its credentials are named in no message.
    """
    if path is None:
        return None
    where = "option 'zookeeper_auth_file': "
    try:
        with open(path, encoding='utf-8') as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except OSError as reason:
        raise ConfigurationError(
            f'{where}cannot read {path}: {reason.strerror}') from None
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
