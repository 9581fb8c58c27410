"""What `ZooKeeper` objects do with single nodes and with all below one."""
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
from zc.zk.errors import permission
from zc.zk.registration.ephemerals import is_ephemeral
from zc.zk.registration.registrar import Registrar
from zc.zk.watch.dispatcher import WatchDispatcher

if TYPE_CHECKING:
    from zc.zk.sync.change import Change


class Nodes:
    """The base of `ZooKeeper`, which has the attributes.

    What is not allowed raises NoAuthError; where a node was to be read or
    written, with its path and the permission in the text.
    """

    client: KazooClient
    _dispatcher: WatchDispatcher
    _registrar: Registrar

    def resolve(self, path: str) -> str:
        """The path of the node that is meant, symbolic links followed.

        Raises NoNodeError, or `LinkLoop`.
        """
        return paths.resolve(
            path, lambda path: self._dispatcher.exists(path, False),
            lambda path: decode(self._dispatcher.get(path, False)[0], path))

    def get_properties(self, path: str) -> dict[str, Any]:
        """The properties of the node, as they are now; follows no links."""
        return decode(self.get(path)[0], path)

    def exists(self, path: str, *args: Any,
               **options: Any) -> ZnodeStat | None:
        """As KazooClient.exists.

        Servers from 3.7.3, 3.8.4 and 3.9.2 on say NoAuthError of a node that
        we may not read; older ones tell of it.
        """
        with permission('READ', path):
            return self.client.exists(path, *args, **options)

    def get(self, path: str, *args: Any,
            **options: Any) -> tuple[bytes, ZnodeStat]:
        """As KazooClient.get."""
        with permission('READ', path):
            return self.client.get(path, *args, **options)

    def get_children(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.get_children."""
        with permission('READ', path):
            return self.client.get_children(path, *args, **options)

    def create(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.create."""
        return self.client.create(path, *args, **options)

    def set(self, path: str, data: bytes, *args: Any,
            **options: Any) -> ZnodeStat:
        """As KazooClient.set; a registration keeps the new data."""
        with permission('WRITE', path):
            stat = self.client.set(path, data, *args, **options)
        self._registrar.note_data(path, data)
        return stat

    def delete(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.delete; a registration is withdrawn."""
        self._registrar.note_deletion(path)
        return self.client.delete(path, *args, **options)

    def create_recursive(self, path: str, data: bytes,
                         acl: list[ACL]) -> None:
        """Make sure that a node and all above it exist, and set its data."""
        self._ensure(path, acl)
        self.set(path, data)

    def _ensure(self, path: str, acl: list[ACL]) -> None:
        # kazoo's ensure_path ends at a node that we may not read.
        try:
            if self.client.exists(path):
                return
        except NoAuthError:
            return  # it is there
        parent = paths.split(path.rstrip('/'))[0]
        if parent != path:
            self._ensure(parent, acl)
        try:
            with permission('CREATE', parent):
                self.client.create(path, acl=acl)
        except NodeExistsError:
            pass  # somebody else was quicker

    def is_ephemeral(self, path: str) -> bool:
        """Whether the node lives only as long as somebody's session."""
        return is_ephemeral(self.get(path)[1])

    def ln(self, source: str, destination: str) -> None:
        """Make ``destination`` a symbolic link to ``source``.

        When the destination ends with ``/``, the link gets the name of the
        source.
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
                continue  # somebody else changed it meanwhile
            return

    def walk(self, path: str = '/', ephemeral: bool = True,
             children: bool = False) -> Iterator[Any]:
        """Iterate over the paths of a tree, parents first.

        Ephemeral nodes are left out if ``ephemeral`` is false. With
        ``children``, pairs of a path and the list of its children's names
        are produced; what is removed from the list is not visited. Raises
        NoAuthError at a node that we may not read.
        """
        try:
            if not ephemeral and self.is_ephemeral(path):
                return
            names = sorted(self.get_children(path))
        except NoNodeError:
            return
        yield (path, names) if children else path
        for name in names:
            yield from self.walk(paths.join(path, name), ephemeral, children)

    def delete_recursive(self, path: str, dry_run: bool = False,
                         force: bool = False,
                         ignore_if_ephemeral: bool = False
                         ) -> list[Change]:
        """Delete a node and all that is below it.

        ``dry_run``
            Whether to delete nothing.
        ``force``
            Whether to delete ephemeral nodes as well. Without it they stay,
            and so do the nodes above them.
        ``ignore_if_ephemeral``
            Whether to say nothing when the node itself is ephemeral.

        Returns the deletions, and notes about what is not deleted, which are
        logged as well. Raises NoNodeError, or `ApplyError`.
        """
        from zc.zk import sync  # trees are much code, for few programs
        planned = sync.plan_deletion(self.client, path, force,
                                     ignore_if_ephemeral)
        if not dry_run:
            for change in planned:
                if not change.is_note:
                    self._registrar.note_deletion(change.path)
            sync.delete(self.client, planned)
        return planned
