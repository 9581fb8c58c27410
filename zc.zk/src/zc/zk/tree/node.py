"""Node: a znode in memory, with its properties and its children."""
import re

from kazoo.protocol.states import ZnodeStat
from zc.zk.tree.strings import shorten

# The characters that org.apache.zookeeper.common.PathUtils refuses. It looks
# at UTF-16 units, so that a character beyond U+FFFF counts as surrogates.
_bad_in_name = re.compile(
    '[/\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]'
).search

_is_plain = re.compile(r'[A-Za-z0-9_:-]+').fullmatch


#: The most levels of nodes in a text.
MAX_DEPTH = 10_000

#: What a mark in a tree's text says of a node.
#:
#: ``absent``: the node must not exist; an import that trims deletes it.
#: ``unreadable``: it exists, but was not read; an import leaves it alone.
#: ``empty``, ``null``: its data is of length 0, or null, rather than ``{}``.
ABSENT, UNREADABLE, EMPTY, NULL = 'absent', 'unreadable', 'empty', 'null'
MARKS = (ABSENT, EMPTY, NULL, UNREADABLE)

_NO_MARKS: frozenset[str] = frozenset()


class TreeError(ValueError):
    """A text that is not a tree.

    `problems` is a list of pairs: the number of the line, from 1, and a
    message. The text of the error has one line for each pair.
    """

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        self.problems = problems
        super().__init__('\n'.join(
            f'line {number}: {message}' for number, message in problems))


class Node:
    """A znode and all znodes below it.

    `properties`
        A dictionary of values that JSON can hold. The name of a symbolic link
        ends in ``' ->'``, the name of a property link in ``' =>'``.
    `children`
        A dictionary from name to Node.
    `acl`
        A tuple of texts ``SCHEME:ID:PERMISSIONS``; None when not known.
    `ephemeral`
        Whether ZooKeeper deletes the node when a session ends.
    `marks`
        A frozenset of some of MARKS.
    `stat`
        The ZnodeStat of a live node; None when not asked for.
    `version`
        The version of the data of a live node; -1 for any other node.
    """

    __slots__ = (
        'name', 'properties', 'children', 'acl', 'ephemeral', 'version',
        'marks', 'stat')

    def __init__(self, name: str = '', properties: dict | None = None,
                 children: 'dict[str, Node] | None' = None,
                 acl: tuple[str, ...] | None = None,
                 ephemeral: bool = False, version: int = -1,
                 marks: frozenset[str] = _NO_MARKS) -> None:
        self.name = name
        self.properties = {} if properties is None else properties
        self.children = {} if children is None else children
        self.acl = acl
        self.ephemeral = ephemeral
        self.version = version
        self.marks = marks
        self.stat: ZnodeStat | None = None

    def __repr__(self) -> str:
        return (f'<Node {self.name!r}, {len(self.properties)} properties,'
                f' {len(self.children)} children>')


def without_ephemeral(tree: Node) -> Node:
    """Return a copy of `tree` without the ephemeral nodes below its top.

    The copy shares the properties of the original.
    """
    top = Node()
    stack = [(tree, top)]
    while stack:
        node, copy = stack.pop()
        copy.name, copy.properties = node.name, node.properties
        copy.acl, copy.version = node.acl, node.version
        copy.marks, copy.stat = node.marks, node.stat
        for name, child in node.children.items():
            if not child.ephemeral:
                copy.children[name] = below = Node()
                stack.append((child, below))
    return top


def name_problem(name: str) -> str | None:
    """Return why ZooKeeper refuses the name of a node, None if it does not."""
    if _is_plain(name):
        return None
    if name in ('', '.', '..'):
        return f'{name!r} cannot be the name of a node'
    bad = _bad_in_name(name)
    if bad is None:
        return None
    return f'the name of a node cannot contain {bad[0]!r}: {shorten(name)}'


def is_link(name: str) -> bool:
    """Return whether the property of this name is a symbolic link."""
    return name.endswith(' ->')
