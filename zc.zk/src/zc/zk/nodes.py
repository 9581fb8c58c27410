"""What `ZooKeeper` objects do with single nodes and with all below one."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from zc.zk import paths
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.ephemerals import is_ephemeral
from zc.zk.hub import Hub
from zc.zk.registrar import Registrar

if TYPE_CHECKING:
    from zc.zk.changes import Change


class Nodes:
    """The base of `ZooKeeper`, which has the attributes."""

    client: KazooClient
    _hub: Hub
    _registrar: Registrar

    def resolve(self, path: str) -> str:
        """The path of the node that is meant, symbolic links followed.

        Raises NoNodeError, or `LinkLoop`.
        """
        return paths.resolve(
            path, lambda path: self._hub.exists(path, False),
            lambda path: decode(self._hub.get(path, False)[0], path))

    def get_properties(self, path: str) -> dict[str, Any]:
        """The properties of the node, as they are now; follows no links."""
        return decode(self.client.get(path)[0], path)

    def exists(self, path: str, *args: Any,
               **options: Any) -> ZnodeStat | None:
        """As KazooClient.exists."""
        return self.client.exists(path, *args, **options)

    def get(self, path: str, *args: Any,
            **options: Any) -> tuple[bytes, ZnodeStat]:
        """As KazooClient.get."""
        return self.client.get(path, *args, **options)

    def get_children(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.get_children."""
        return self.client.get_children(path, *args, **options)

    def create(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.create."""
        return self.client.create(path, *args, **options)

    def set(self, path: str, data: bytes, *args: Any,
            **options: Any) -> ZnodeStat:
        """As KazooClient.set; a registration keeps the new data."""
        stat = self.client.set(path, data, *args, **options)
        self._registrar.note(path, data)
        return stat

    def delete(self, path: str, *args: Any, **options: Any) -> Any:
        """As KazooClient.delete; a registration is withdrawn."""
        self._registrar.forget(path)
        return self.client.delete(path, *args, **options)

    def create_recursive(self, path: str, data: bytes,
                         acl: list[ACL]) -> None:
        """Make sure that a node and all above it exist, and set its data."""
        self.client.ensure_path(path, acl)
        self.set(path, data)

    def is_ephemeral(self, path: str) -> bool:
        """Whether the node lives only as long as somebody's session."""
        return is_ephemeral(self.client.get(path)[1])

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
            data, stat = self.client.get(parent)
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
        are produced; what is removed from the list is not visited.
        """
        try:
            if not ephemeral and self.is_ephemeral(path):
                return
            names = sorted(self.client.get_children(path))
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
        from zc.zk import deleting  # trees are much code, for few programs
        planned = deleting.plan_deletion(self.client, path, force,
                                         ignore_if_ephemeral)
        if not dry_run:
            for change in planned:
                if not change.is_note:
                    self._registrar.forget(change.path)
            deleting.delete(self.client, planned)
        return planned
