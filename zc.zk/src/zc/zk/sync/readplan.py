"""ReadPlan: decide which nodes to ask ZooKeeper for, and when.

Without an expected tree, all nodes are read. With one, the names of a node's
children are not asked for when their number is the expected number: the
expected names are read directly, and asked for only when one is missing.
"""
from collections.abc import Iterable

from zc.zk.sync.change import are_alike
from zc.zk.sync.multiread import GET_CHILDREN
from zc.zk.sync.multiread import GET_DATA
from zc.zk.tree import Node

#: A read to make: an operation (GET_DATA or GET_CHILDREN), the path of a node
#: on the server, its parent, its name, and the expected node. None expects
#: nothing: all that is there is read.
Item = tuple[int, bytes, Node, str, Node | None]

#: An expected node that stands for "read the node without its children".
WITHOUT_CHILDREN = Node()

# Marks a child whose data was asked for already.
_REQUESTED = Node()


class ReadPlan:
    """The reads that follow from the answers so far.

    `like` and `extras` are those of `reader.read_tree`.
    """

    def __init__(self, like: Node | None, extras: bool | None) -> None:
        self.like = like
        self.extras = extras
        # By path, the GET_CHILDREN of each node that seemed to have the
        # expected children. `relist` makes it when one of them is missing.
        self.unlisted: dict[bytes, Item] = {}

    def reads_below(self, path: bytes, parent: Node, node: Node, count: int,
                    like: Node | None) -> Iterable[Item]:
        """Return the reads that follow from a node with `count` children.

        Equal counts most likely mean the same names, so that the names are
        not asked for.
        """
        if like is None:
            return [(GET_CHILDREN, path, parent, node.name, None)]
        expected = like.children
        is_closed = self.extras is not False and like is not self.like
        if count < len(expected) or is_closed and count > len(expected):
            return [(GET_CHILDREN, path, parent, node.name, like)]
        if is_closed:
            others = Node(children=dict.fromkeys(expected, _REQUESTED))
            self.unlisted[path] = (
                GET_CHILDREN, path, parent, node.name, others)
        base = path.rstrip(b'/') + b'/'
        return [(GET_DATA, base + name.encode(), node, name, below)
                for name, below in expected.items()
                if name != 'zookeeper' or base != b'/']

    def relist(self, path: bytes) -> Iterable[Item]:
        """Return the reads that follow when the expected `path` is missing.

        Then its parent has another child in its place, which only the names
        of the children tell. The same holds for a node that was created after
        its parent was read.
        """
        item = self.unlisted.pop(path.rpartition(b'/')[0], None)
        return () if item is None else (item,)

    def reads_of_children(self, path: bytes, node: Node, names: list[bytes],
                          like: Node | None) -> Iterable[Item]:
        """Return the reads that follow from the names of a node's children."""
        base = path.rstrip(b'/') + b'/'
        if base == b'/':
            names = [name for name in names if name != b'zookeeper']
        if like is None:
            return [(GET_DATA, base + name, node, name.decode(), None)
                    for name in names]
        extras = self.extras
        if like is self.like:
            extras = False  # extra top nodes are never trimmed, nor noted
        return self._expected_reads(base, node, names, like.children, extras)

    def _expected_reads(self, base: bytes, node: Node, names: list[bytes],
                        expected: dict[str, Node], extras: bool | None
                        ) -> Iterable[Item]:
        others = None if extras else WITHOUT_CHILDREN
        for encoded in names:
            name = encoded.decode()
            wanted = expected.get(name, others)
            if wanted is _REQUESTED or wanted is others and extras is False:
                continue
            yield GET_DATA, base + encoded, node, name, wanted


def is_leaf_like(like: Node, properties: dict) -> bool:
    """Return whether `like` is a leaf without an ACL and has `properties`."""
    return (not like.children and like.acl is None and not like.marks
            and not like.ephemeral and like is not WITHOUT_CHILDREN
            and are_alike(properties, like.properties))
