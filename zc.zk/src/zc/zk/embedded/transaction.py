"""Transaction: changes of the tree, made together or not at all."""
from collections.abc import Callable
from collections.abc import Iterable

from zc.zk.embedded import acl
from zc.zk.embedded import paths
from zc.zk.embedded import quotas
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import EventType
from zc.zk.embedded.tree import CONTAINER_OWNER
from zc.zk.embedded.tree import Tree
from zc.zk.embedded.tree import Znode
from zc.zk.embedded.watches import NodeEvent

EPHEMERAL = 1
SEQUENTIAL = 2


class Transaction:
    """One or several changes with one zxid, for one client.

    Each method makes its change at once, or raises Refused. `undo` reverts
    all changes so far.

    `events`
        The watch events to fire once the transaction is done.
    `touched`
        The paths of nodes to write to the data file.
    `counted`
        The paths of nodes whose `creations` and `pzxid` are to be written.
    """

    def __init__(
        self,
        tree: Tree,
        zxid: int,
        time: int,
        session: int = 0,
        ids: Iterable[acl.Id] = (),
    ) -> None:
        self._tree = tree
        self.zxid = zxid
        self._time = time
        self._session = session
        self._ids = ids
        self._undo: list[Callable[[], None]] = []
        self.events: list[NodeEvent] = []
        self.touched: dict[str, None] = {}
        self.counted: dict[str, None] = {}

    def create(
        self, path: str, data: bytes | None, access: acl.Acl, flags: int,
        is_container: bool = False,
    ) -> tuple[str, Znode]:
        """Create a node; return its path and the node.

        A sequential node gets its number here.
        """
        parent_path = paths.split(path)[0]
        access = acl.resolve(access, self._ids)
        parent = self._tree.get(parent_path)
        acl.check(parent.acl, acl.CREATE, self._ids)
        if flags & SEQUENTIAL:
            path += f'{parent.creations:010d}'
        paths.validate(path)
        if path in self._tree.nodes:
            raise Refused(Code.NODE_EXISTS)
        if parent.is_ephemeral:
            raise Refused(Code.NO_CHILDREN_FOR_EPHEMERALS)
        owner = (CONTAINER_OWNER if is_container
                 else self._session if flags & EPHEMERAL else 0)
        node = Znode(data, access, self.zxid, self._time, owner)
        self._keep(parent, 'creations', 'pzxid')
        self._tree.insert(path, node)
        self._undo.append(lambda: self._tree.discard(path))
        parent.creations += 1
        parent.pzxid = self.zxid
        self._note(EventType.CREATED, path, node, parent_path, parent)
        self._count(path, 1, len(data or b''))
        if place := quotas.counted(path):
            self._keep(node, 'data')
            node.data = quotas.pack(*self._tree.size(place))
        return path, node

    def delete(self, path: str, version: int = -1) -> None:
        """Delete a node, if the client may and the version is right."""
        if path in paths.RESERVED:
            raise Refused(Code.BAD_ARGUMENTS)
        parent_path = paths.split(path)[0]
        acl.check(self._tree.get(parent_path).acl, acl.DELETE, self._ids)
        node = self._tree.get(path)
        _check_version(version, node.version)
        if node.children:
            raise Refused(Code.NOT_EMPTY)
        self.remove(path)

    def remove(self, path: str) -> None:
        """Delete a node without any check."""
        parent_path = paths.split(path)[0]
        parent = self._tree.nodes[parent_path]
        node = self._tree.nodes[path]
        self._keep(parent, 'pzxid')
        self._tree.discard(path)
        self._undo.append(lambda: self._tree.insert(path, node))
        parent.pzxid = self.zxid
        self._note(EventType.DELETED, path, node, parent_path, parent)
        self._count(path, -1, -len(node.data or b''))

    def set_data(
        self, path: str, data: bytes | None, version: int,
    ) -> Znode:
        """Set the data of a node; return the node."""
        paths.validate(path)
        node = self._tree.get(path)
        acl.check(node.acl, acl.WRITE, self._ids)
        _check_version(version, node.version)
        self._keep(node, 'data', 'version', 'mzxid', 'mtime')
        self._count(path, 0, len(data or b'') - len(node.data or b''))
        node.data = data
        node.version += 1
        node.mzxid = self.zxid
        node.mtime = self._time
        self.events.append(NodeEvent(EventType.CHANGED, path, node.acl))
        self.touched[path] = None
        return node

    def set_acl(self, path: str, access: acl.Acl, version: int) -> Znode:
        """Set the access control list of a node; return the node."""
        paths.validate(path)
        access = acl.resolve(access, self._ids)
        node = self._tree.get(path)
        acl.check(node.acl, acl.ADMIN, self._ids)
        _check_version(version, node.aversion)
        self._keep(node, 'acl', 'aversion')
        node.acl = access
        node.aversion += 1
        self.touched[path] = None
        return node

    def check(self, path: str, version: int) -> None:
        """Raise Refused unless the node exists with the version."""
        paths.validate(path)
        node = self._tree.get(path)
        acl.check(node.acl, acl.READ, self._ids)
        _check_version(version, node.version)

    def undo(self) -> None:
        """Revert all changes, the last one first."""
        while self._undo:
            self._undo.pop()()

    def _note(
        self, event: int, path: str, node: Znode, parent_path: str,
        parent: Znode,
    ) -> None:
        self.events.append(NodeEvent(event, path, node.acl))
        self.events.append(
            NodeEvent(EventType.CHILDREN, parent_path, parent.acl))
        self.touched[path] = None
        self.counted[parent_path] = None

    def _count(self, path: str, count: int, size: int) -> None:
        """Add to the numbers of the quota that a path is subject to."""
        if not self._tree.quotas:
            return
        place = quotas.find(path, self._tree.quotas)
        stats = quotas.stats_path(place) if place else ''
        node = self._tree.nodes.get(stats)
        if node is None:
            return
        before = quotas.unpack(node.data)
        self._keep(node, 'data')
        node.data = quotas.pack(before[0] + count, before[1] + size)
        self.touched[stats] = None

    def _keep(self, node: Znode, *names: str) -> None:
        values = [(name, getattr(node, name)) for name in names]

        def restore() -> None:
            for name, value in values:
                setattr(node, name, value)

        self._undo.append(restore)


def _check_version(wanted: int, actual: int) -> None:
    if wanted not in (-1, actual):
        raise Refused(Code.BAD_VERSION)
