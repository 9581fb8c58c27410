"""What `ZooKeeper` objects do with single nodes and with all below one."""
import logging
from collections.abc import Iterator
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from zc.zk import paths
from zc.zk import reading
from zc.zk.applying import apply
from zc.zk.changes import DELETE_NODE
from zc.zk.changes import EPHEMERAL_NODE
from zc.zk.changes import Change
from zc.zk.changes import plan
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.registrar import Registrar
from zc.zk.tree import Node
from zc.zk.watching import Hub

logger = logging.getLogger(__name__)


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
        return reading.is_ephemeral(self.client.get(path)[1].ephemeralOwner)

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
                         ignore_if_ephemeral: bool = False) -> list[Change]:
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
        path = paths.normalize(path)
        planned = self._plan_deletion(path, force, ignore_if_ephemeral)
        if dry_run:
            return planned
        for change in planned:
            if change.is_note:
                logger.warning('%s', change)
            elif change.kind == DELETE_NODE:
                self._registrar.forget(change.path)
        apply(self.client, planned)
        return planned

    def _plan_deletion(self, path: str, force: bool,
                       ignore_if_ephemeral: bool) -> list[Change]:
        if path == '/':
            raise ValueError('the root cannot be deleted')
        live = reading.read_tree(self.client, path)
        if live.ephemeral and not force:
            return ([] if ignore_if_ephemeral
                    else [Change(EPHEMERAL_NODE, path)])
        parent, name = paths.split(path)
        # Whatever the nodes have become meanwhile, they are to go.
        return [change._replace(version=-1) for change in plan(
            Node(), Node(children={name: live}), parent, trim=True,
            trim_top=True, force=force)]
