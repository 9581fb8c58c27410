"""Read and write single nodes, and walk and delete subtrees."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from zc.zk import paths
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.errors import missing_node
from zc.zk.errors import permission
from zc.zk.registration.ephemerals import is_ephemeral
from zc.zk.registration.registrar import Registrar
from zc.zk.watch.dispatcher import WatchDispatcher

if TYPE_CHECKING:
    from zc.zk.sync.change import Change


class Nodes:
    """The methods of `ZooKeeper` for single nodes and for subtrees.

    They raise NoAuthError for what the ACL does not allow. If a node was to
    be read or written, its text names the node and the permission.
    """

    def __init__(self, client: KazooClient, registrar: Registrar,
                 dispatcher: WatchDispatcher) -> None:
        self.client = client
        self._registrar = registrar
        self._dispatcher = dispatcher

    def resolve(self, path: str) -> str:
        """Return the path of a node, with symbolic links followed.

        Raises NoNodeError or `LinkLoop` if the path leads to no node.
        """
        return resolve(self._dispatcher, path)

    def get_properties(self, path: str) -> dict[str, Any]:
        """Return the node's properties as they are now; follow no links."""
        return decode(self.get(path)[0], path)

    def exists(self, path: str, *args: Any,
               **options: Any) -> ZnodeStat | None:
        """Return what KazooClient.exists returns.

        For a node that we may not read, servers from 3.7.3, 3.8.4 and 3.9.2
        on raise NoAuthError; older servers return its ZnodeStat.
        """
        with permission('READ', path, self.client.chroot):
            return self.client.exists(path, *args, **options)

    def get(self, path: str, *args: Any,
            **options: Any) -> tuple[bytes, ZnodeStat]:
        """Return what KazooClient.get returns: the data and a ZnodeStat."""
        with permission('READ', path, self.client.chroot):
            return self.client.get(path, *args, **options)

    def get_children(self, path: str, *args: Any, **options: Any) -> Any:
        """Return what KazooClient.get_children returns: a list of names."""
        with permission('READ', path, self.client.chroot):
            return self.client.get_children(path, *args, **options)

    def create(self, path: str, *args: Any, **options: Any) -> Any:
        """Create a node, as KazooClient.create does; return its path.

        A NoNodeError names the parent.
        """
        try:
            return self.client.create(path, *args, **options)
        except NoNodeError:
            parent = paths.split(path.rstrip('/'))[0]
            raise NoNodeError(
                missing_node(parent, self.client.chroot)) from None

    def set(self, path: str, data: bytes, *args: Any,
            **options: Any) -> ZnodeStat:
        """Set a node's data, as KazooClient.set does.

        If the node belongs to a registration, that keeps the new data.
        """
        with permission('WRITE', path, self.client.chroot):
            stat = self.client.set(path, data, *args, **options)
        self._registrar.note_data(path, data)
        return stat

    def delete(self, path: str, *args: Any, **options: Any) -> Any:
        """Delete a node, as KazooClient.delete does.

        If the node belongs to a registration, that is withdrawn.
        """
        self._registrar.note_deletion(path)
        try:
            return self.client.delete(path, *args, **options)
        except NoNodeError:
            raise NoNodeError(
                missing_node(path, self.client.chroot)) from None

    def create_recursive(self, path: str, data: bytes,
                         acl: list[ACL]) -> None:
        """Create a node and its parents where missing, and set its data."""
        self._ensure(path, acl)
        self.set(path, data)

    def _ensure(self, path: str, acl: list[ACL]) -> None:
        # kazoo's ensure_path raises NoAuthError at a node that we may not
        # read.
        try:
            if self.client.exists(path):
                return
        except NoAuthError:
            return  # it exists
        parent = paths.split(path.rstrip('/'))[0]
        if parent != path:
            self._ensure(parent, acl)
        try:
            with permission('CREATE', parent, self.client.chroot):
                self.client.create(path, acl=acl)
        except NodeExistsError:
            pass  # another client was faster

    def is_ephemeral(self, path: str) -> bool:
        """Return whether a node lives only as long as a session."""
        return is_ephemeral(self.get(path)[1])

    def ln(self, source: str, destination: str) -> None:
        """Make a symbolic link at the path `destination` to `source`.

        If the destination ends with ``/``, the name of the source is added.
        """
        if destination.endswith('/'):
            destination += paths.split(source.rstrip('/'))[1]
        parent, name = paths.split(destination)
        parent = self.resolve(parent)
        while True:
            data, stat = self.get(parent)
            properties = decode(data, parent) | {name + ' ->': source}
            try:
                self.set(parent, encode(properties), stat.version)
            except BadVersionError:
                continue  # another client was faster
            return

    def walk(self, path: str = '/', ephemeral: bool = True,
             children: bool = False) -> Iterator[Any]:
        """Yield the paths of a tree, parents first.

        If `ephemeral` is false, ephemeral nodes are left out. If `children`
        is true, pairs are yielded: a path, and the list of its children's
        names. Children whose names are removed from the list are not
        visited. Raises NoAuthError at a node that we may not read.
        """
        # Of each node on the way: its path and an iterator of names.
        stack = [(path, iter(['']))]
        while stack:
            above, left = stack[-1]
            name = next(left, None)
            if name is None:
                stack.pop()
                continue
            path = paths.join(above, name) if name else above
            try:
                if not ephemeral and self.is_ephemeral(path):
                    continue
                names = sorted(self.get_children(path))
            except NoNodeError:
                continue
            yield (path, names) if children else path
            stack.append((path, iter(names)))

    def delete_recursive(self, path: str, dry_run: bool = False,
                         force: bool = False,
                         ignore_if_ephemeral: bool = False
                         ) -> list[Change]:
        """Delete a node and all nodes below it.

        `dry_run`
            Only return what would be deleted.
        `force`
            Delete ephemeral nodes as well. Without it they stay, and so do
            the nodes above them.
        `ignore_if_ephemeral`
            Return an empty list if the node itself is ephemeral.

        Returns a list of `Change`: the deletions, and notes about nodes that
        are not deleted, which are logged as well. Raises NoNodeError or
        `ApplyError`.
        """
        # Servers, which only register, never need the code for trees.
        from zc.zk.sync import delete
        from zc.zk.sync import plan_deletion
        planned = plan_deletion(self.client, path, force,
                                ignore_if_ephemeral)
        if not dry_run:
            for change in planned:
                if not change.is_note:
                    self._registrar.note_deletion(change.path)
            delete(self.client, planned)
        return planned


def resolve(dispatcher: WatchDispatcher, path: str) -> str:
    """Return the path of a node, with symbolic links followed.

    Sets no watches. Raises NoNodeError or `LinkLoop`.
    """
    try:
        return paths.resolve(
            path, lambda path: dispatcher.exists(path, False),
            lambda path: decode(dispatcher.get(path, False)[0], path))
    except NoNodeError as error:
        raise dispatcher.explained(error) from None
