"""The providers of a service, read from ZooKeeper.

Nothing is changed there: `Providers.missing_rights` asks with a transaction
that always fails.
"""
from __future__ import annotations

import dataclasses
import os
import posixpath
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import zc.zk
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import RolledBackError
from kazoo.handlers.threading import KazooTimeoutError
from zc.zk import permissions
from zc.zk.printable import printable
from zc.zk.sync.reader import read_tree

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import read_auth_file

# The longest timeout of the session that reads.  It owns no nodes, so that it
# need not survive a ZooKeeper that is away for longer.
SESSION_TIMEOUT_S = 4.0


@dataclasses.dataclass(frozen=True)
class Provider:
    """A provider's node: `name`, its address, and its `properties`."""

    name: str
    properties: dict[str, Any]

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, port); None for a name that is no server's address."""
        try:
            return zc.zk.parse_server_addr(self.name)
        except ValueError:
            return None

    @property
    def pid(self) -> int | None:
        """The pid of the process that registered it; None without one."""
        pid = self.properties.get('pid')
        return pid if type(pid) is int and pid > 0 else None

    @property
    def monitor(self) -> str | None:
        """The address of its monitor server; None without one."""
        monitor = self.properties.get('monitor')
        return monitor if isinstance(monitor, str) and monitor else None


class Providers:
    """The providers node, read in a session of its own; a context manager.

    `options` say where it is.  The session waits a few seconds for
    ZooKeeper; with `goes_on`, for as long as that returns true when it is
    called again and again.

    ConfigurationError for TLS files that cannot be used.  RegistrationError
    when ZooKeeper does not answer; the methods raise it as well when the
    path is not there or must not be read.
    """

    def __init__(self, options: Options,
                 goes_on: Callable[[], bool] | None = None) -> None:
        self._options = options
        try:
            self._zk = zc.zk.ZooKeeper(
                options.zookeeper,
                min(options.session_timeout_s, SESSION_TIMEOUT_S),
                goes_on or False,
                auth=read_auth_file(options.zookeeper_auth_file),
                ca=options.zookeeper_ca, cert=options.zookeeper_cert,
                key=options.zookeeper_key)
        except ValueError as error:
            # zc.zk raises it for TLS files.
            raise ConfigurationError(str(error)) from None
        except zc.zk.FailedConnect as error:
            raise RegistrationError(
                f"option 'zookeeper': {error}") from None

    def __enter__(self) -> Providers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zk.close()

    def path(self) -> str:
        """Return the path of the providers node, its links followed."""
        try:
            return self._ask(self._zk.resolve, self._options.path)
        except zc.zk.LinkLoop as error:
            raise RegistrationError(f"option 'path': {error}") from None

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call ZooKeeper; RegistrationError instead of kazoo's errors."""
        path = self._options.path
        where = f'in the ZooKeeper at {self._options.zookeeper}'
        try:
            return call(*arguments)
        except NoNodeError as error:
            # Its text names the missing node, and the links that led there.
            raise RegistrationError(f"option 'path': there is no"
                                    f' {printable(error) or path} {where}'
                                    ) from None
        except NoAuthError as error:
            raise RegistrationError(
                f"option 'path': not allowed to read {path} {where}:"
                f' {printable(error)}'
                .removesuffix(': ')) from None
        except (KazooException, KazooTimeoutError) as error:
            raise RegistrationError(
                f"option 'zookeeper': {self._options.zookeeper}:"
                f' {type(error).__name__} {printable(error)}'.rstrip()
                ) from None

    def nodes(self) -> list[Provider]:
        """Return the providers, ordered by name."""
        tree = self._ask(read_tree, self._zk.client, self.path())
        return [Provider(name, dict(node.properties))
                for name, node in sorted(tree.children.items())]

    def tree(self) -> str:
        """Return the providers node as tree text, with ephemeral nodes."""
        path = self.path()
        return self._ask(self._zk.export_tree, path, True,
                         posixpath.basename(path))

    def missing_rights(self) -> Iterator[str]:
        """Yield a sentence when we may not create or delete a node there.

        The transaction creates a node, deletes it, and then checks its
        version, which fails: it is rolled back as a whole, so that no client
        sees the node.
        """
        path = self.path()
        node = posixpath.join(path, f'check-{os.urandom(8).hex()}')
        acl = (zc.zk.creator_acl() if self._options.zookeeper_auth_file
               else zc.zk.READ_ACL_UNSAFE)
        transaction = self._zk.client.transaction()
        transaction.create(node, b'{}', acl=acl, ephemeral=True)
        transaction.delete(node)
        transaction.check(node, 0)
        created, deleted, _ = self._ask(transaction.commit)
        for result, what in (created, 'create'), (deleted, 'delete'):
            if isinstance(result, RolledBackError):
                # This operation is allowed; a later one failed.
                continue
            if isinstance(result, NoAuthError):
                yield (f"option 'path': not allowed to {what} nodes below"
                       f' {printable(path)}{self._acl(path)}')
            else:
                yield (f"option 'path': cannot {what} nodes below"
                       f' {printable(path)}: {type(result).__name__}')
            return

    def _acl(self, path: str) -> str:
        try:
            acl, _ = self._zk.client.get_acls(path)
        except KazooException:
            return ''
        return (', where the rights are '
                + printable(', '.join(permissions.from_acl(acl))))
