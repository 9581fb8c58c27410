"""The tree of znodes in memory."""
from collections.abc import Iterator

from zc.zk.embedded import acl
from zc.zk.embedded import paths
from zc.zk.embedded import quotas
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import STAT
from zc.zk.embedded.protocol import Code

#: The owner of container nodes (EphemeralType.CONTAINER_EPHEMERAL_OWNER).
CONTAINER_OWNER = -1 << 63


class Znode:
    """A node: data, ACL, the names of its children, and its history.

    `creations` counts the children that were ever created here. It numbers
    sequential nodes. `owner` is the number of the session of an ephemeral
    node, 0 for a persistent node, CONTAINER_OWNER for a container. `ctime`
    and `mtime` are in milliseconds since the epoch. The other names are those
    of a Stat.
    """

    __slots__ = (
        'acl', 'aversion', 'children', 'creations', 'ctime', 'czxid',
        'data', 'mtime', 'mzxid', 'owner', 'pzxid', 'version')

    def __init__(
        self,
        data: bytes | None = b'',
        access: acl.Acl = acl.OPEN,
        zxid: int = 0,
        time: int = 0,
        owner: int = 0,
    ) -> None:
        self.data = data
        self.acl = access
        self.czxid = self.mzxid = self.pzxid = zxid
        self.ctime = self.mtime = time
        self.owner = owner
        self.version = self.creations = self.aversion = 0
        # None for a leaf, as most nodes are. A dict keeps the names in the
        # order of their creation.
        self.children: dict[str, None] | None = None

    @property
    def is_ephemeral(self) -> bool:
        """Whether the node ends with a session."""
        return self.owner not in (0, CONTAINER_OWNER)

    def stat(self) -> bytes:
        """Return the Stat record.

        Its cversion counts creations and deletions of children: twice the
        creations minus the number of children. A container shows no owner.
        """
        count = len(self.children) if self.children else 0
        return STAT.pack(
            self.czxid, self.mzxid, self.ctime, self.mtime, self.version,
            2 * self.creations - count, self.aversion,
            self.owner if self.is_ephemeral else 0,
            len(self.data) if self.data else 0, count, self.pzxid)

    def add(self, name: str) -> None:
        """Add the name of a new child."""
        if self.children is None:
            self.children = {}
        self.children[name] = None

    def remove(self, name: str) -> None:
        """Remove the name of a deleted child."""
        if self.children is not None:
            self.children.pop(name, None)
            if not self.children:
                self.children = None


class Tree:
    """Nodes by path, and the paths of ephemeral nodes by session.

    `containers` has the paths of container nodes, `quotas` the paths that have
    a quota.
    """

    def __init__(self) -> None:
        self.nodes = {path: Znode() for path in sorted(paths.RESERVED)}
        self.nodes['/zookeeper/config'].acl = acl.WORLD_READ
        self.nodes['/zookeeper/config'].aversion = -1
        self.ephemerals: dict[int, dict[str, None]] = {}
        self.containers: dict[str, None] = {}
        self.quotas: set[str] = set()
        self.link()

    def __len__(self) -> int:
        return len(self.nodes)

    def get(self, path: str) -> Znode:
        """Return the node of a path.

        As in Apache ZooKeeper, the empty path means the root. Raise Refused
        (NO_NODE) when there is no such node.
        """
        try:
            return self.nodes[path or '/']
        except KeyError:
            raise Refused(Code.NO_NODE) from None

    def insert(self, path: str, node: Znode) -> None:
        """Add a node below its parent."""
        parent, name = paths.split(path)
        self.nodes[path] = node
        self.nodes[parent].add(name)
        if place := quotas.limited(path):
            self.quotas.add(place)
        if node.owner == CONTAINER_OWNER:
            self.containers[path] = None
        elif node.owner:
            self.ephemerals.setdefault(node.owner, {})[path] = None

    def discard(self, path: str) -> None:
        """Remove a node, which has no children."""
        parent, name = paths.split(path)
        node = self.nodes.pop(path)
        self.nodes[parent].remove(name)
        if place := quotas.limited(path):
            self.quotas.discard(place)
        if node.owner == CONTAINER_OWNER:
            del self.containers[path]
        elif node.owner:
            mine = self.ephemerals[node.owner]
            del mine[path]
            if not mine:
                del self.ephemerals[node.owner]

    def link(self) -> None:
        """Set the children of all nodes, from their paths.

        Raise KeyError with the path of a parent that is missing.
        """
        for path, node in self.nodes.items():
            if path != '/':
                parent, name = paths.split(path)
                self.nodes[parent].add(name)
            if node.owner == CONTAINER_OWNER:
                self.containers[path] = None
            if place := quotas.limited(path):
                self.quotas.add(place)

    def unlink(self) -> None:
        """Clear the children of all nodes, before records are applied."""
        for node in self.nodes.values():
            node.children = None

    def size(self, path: str) -> tuple[int, int]:
        """Return the numbers of nodes and of bytes at and below a path."""
        if path not in self.nodes:
            return 0, 0
        sizes = [len(self.nodes[each].data or b'')
                 for each in (path, *self.below(path))]
        return len(sizes), sum(sizes)

    def empty_containers(self) -> list[str]:
        """Return the paths of containers that have lost their last child."""
        return [path for path in self.containers
                if self.nodes[path].creations
                and not self.nodes[path].children]

    def below(self, path: str) -> Iterator[str]:
        """Yield the paths of all nodes below a path."""
        waiting = [path or '/']
        while waiting:
            path = waiting.pop()
            prefix = path if path == '/' else path + '/'
            for name in self.nodes[path].children or ():
                yield prefix + name
                waiting.append(prefix + name)
