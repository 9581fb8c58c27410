"""Which nodes are asked for: all, or those that another tree has as well."""
from collections.abc import Iterable

from zc.zk.sync.change import are_alike
from zc.zk.sync.multiread import GET_CHILDREN
from zc.zk.sync.multiread import GET_DATA
from zc.zk.tree import Node

#: What is to be read: an operation, a path, the parent, the name of the node
#: to make (for GET_DATA) or the node itself (for GET_CHILDREN), and what it
#: should be like (None is anything).
Item = tuple[int, bytes, Node, str | Node, Node | None]

#: Like this, a node is read without its children.
WITHOUT_CHILDREN = Node()

_ASKED = Node()


class ReadPlan:
    """What to ask next, by what is known so far.

    ``like`` and ``extras`` are those of `reading.read_tree`.
    """

    def __init__(self, like: Node | None, extras: bool | None) -> None:
        self.like = like
        self.extras = extras
        # Of nodes whose children were not asked for, as they seemed to be
        # the expected ones: what to ask where they are not.
        self.unlisted: dict[bytes, Item] = {}

    def below(self, path: bytes, parent: Node, node: Node, count: int,
              like: Node | None) -> Iterable[Item]:
        """What to ask about a node with so many children.

        Their names are not asked for when it has as many as are expected:
        most likely it has those.
        """
        if like is None:
            return [(GET_CHILDREN, path, parent, node, None)]
        expected = like.children
        is_closed = self.extras is not False and like is not self.like
        if count < len(expected) or is_closed and count > len(expected):
            return [(GET_CHILDREN, path, parent, node, like)]
        if is_closed:
            others = Node(children=dict.fromkeys(expected, _ASKED))
            self.unlisted[path] = GET_CHILDREN, path, parent, node, others
        base = path.rstrip(b'/') + b'/'
        return [(GET_DATA, base + name.encode(), node, name, below)
                for name, below in expected.items()
                if name != 'zookeeper' or base != b'/']

    def relist(self, path: bytes) -> Iterable[Item]:
        """What to ask when an expected node is not there.

        Or was not yet, perhaps, as its parent was read: then that had
        another in its place.
        """
        item = self.unlisted.pop(path.rpartition(b'/')[0], None)
        return () if item is None else (item,)

    def among(self, path: bytes, node: Node, names: list[bytes],
              like: Node | None) -> Iterable[Item]:
        """What to ask about the children of a node."""
        base = path.rstrip(b'/') + b'/'
        if base == b'/':
            names = [name for name in names if name != b'zookeeper']
        if like is None:
            return [(GET_DATA, base + name, node, name.decode(), None)
                    for name in names]
        extras = self.extras
        if like is self.like:
            extras = False  # never trimmed, and so not told
        return self.alike(base, node, names, like.children, extras)

    def alike(self, base: bytes, node: Node, names: list[bytes],
              expected: dict[str, Node], extras: bool | None
              ) -> Iterable[Item]:
        """What to ask about children that may be expected, or extras."""
        others = None if extras else WITHOUT_CHILDREN
        for encoded in names:
            name = encoded.decode()
            wanted = expected.get(name, others)
            if wanted is _ASKED or wanted is others and extras is False:
                continue
            yield GET_DATA, base + encoded, node, name, wanted


def is_leaf_like(like: Node, properties: dict) -> bool:
    """Would a node without children, and with these properties, be the same?
    """
    return (not like.children and like.acl is None
            and like is not WITHOUT_CHILDREN
            and are_alike(properties, like.properties))
