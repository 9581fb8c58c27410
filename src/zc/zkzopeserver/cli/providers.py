"""The providers of a service in ZooKeeper; only this module imports zc.zk.

Nothing is changed there: `rights` asks with a transaction that always fails.
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
from zc.zk.sync.reader import read_tree

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import RegistrationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import read_auth_file

# Of our own session, which has nothing to keep: an answer that takes longer
# is none.
SESSION_TIMEOUT_S = 4.0


@dataclasses.dataclass(frozen=True)
class Provider:
    """A provider: its name is its address, and its properties are its own.

    `pid` and `monitor` are None when there is none of the kind expected.
    """

    name: str
    properties: dict[str, Any]

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, port); None for a name that is no address."""
        try:
            return zc.zk.parse_addr(self.name)
        except ValueError:
            return None

    @property
    def pid(self) -> int | None:
        """The process that registered it, on its host."""
        pid = self.properties.get('pid')
        return pid if type(pid) is int and pid > 0 else None

    @property
    def monitor(self) -> str | None:
        """The address of its monitor server."""
        monitor = self.properties.get('monitor')
        return monitor if isinstance(monitor, str) and monitor else None


class Providers:
    """A look at the providers; a context manager.

    ZooKeeper gets a few seconds to answer; with `goes_on`, as long as that
    says so when it is asked again and again.  RegistrationError when it does
    not answer, or when the path is not there or may not be read.
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
        except ValueError as reason:
            # zc.zk's word for TLS files that cannot be used.
            raise ConfigurationError(str(reason)) from None
        except zc.zk.FailedConnect as reason:
            raise RegistrationError(
                f"option 'zookeeper': {reason}") from None

    def __enter__(self) -> Providers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zk.close()

    def path(self) -> str:
        """The path of the providers node, links followed."""
        try:
            return self._ask(self._zk.resolve, self._options.path)
        except zc.zk.LinkLoop as reason:
            raise RegistrationError(f"option 'path': {reason}") from None

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        path = self._options.path
        where = f'in the ZooKeeper at {self._options.zookeeper}'
        try:
            return call(*arguments)
        except NoNodeError as reason:
            # It names the node that is missing, and links that led there.
            raise RegistrationError(f"option 'path': there is no"
                                    f' {str(reason) or path} {where}'
                                    ) from None
        except NoAuthError as reason:
            raise RegistrationError(
                f"option 'path': not allowed to read {path} {where}: {reason}"
                .removesuffix(': ')) from None
        except (KazooException, KazooTimeoutError) as reason:
            raise RegistrationError(
                f"option 'zookeeper': {self._options.zookeeper}:"
                f' {type(reason).__name__} {reason}'.rstrip()) from None

    def nodes(self) -> list[Provider]:
        """The providers, by name."""
        tree = self._ask(read_tree, self._zk.client, self.path())
        return [Provider(name, dict(node.properties))
                for name, node in sorted(tree.children.items())]

    def tree(self) -> str:
        """The providers node as text, the live nodes with it."""
        path = self.path()
        return self._ask(self._zk.export_tree, path, True,
                         posixpath.basename(path))

    def rights(self) -> Iterator[str]:
        """What we are not allowed to do with a node of ours, a sentence each.

        Asked with a transaction that creates the node, deletes it and then
        cannot go on, so that nobody ever sees it.
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
                continue
            if isinstance(result, NoAuthError):
                yield (f"option 'path': not allowed to {what} nodes below"
                       f' {path}{self._acl(path)}')
            else:
                yield (f"option 'path': cannot {what} nodes below {path}:"
                       f' {type(result).__name__}')
            return

    def _acl(self, path: str) -> str:
        try:
            acl, _ = self._zk.client.get_acls(path)
        except KazooException:
            return ''
        return (', where the rights are '
                + ', '.join(permissions.from_acl(acl)))
