"""Trees of nodes: what they are made of."""
import re

from zc.zk.tree.strings import shorten

# As org.apache.zookeeper.common.PathUtils has it, in UTF-16.
_bad_in_name = re.compile(
    '[/\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]'
).search

_is_plain = re.compile(r'[A-Za-z0-9_:-]+').fullmatch


class TreeError(ValueError):
    """The text is not a tree.

    ``problems`` is a list of pairs of line number and message; the message
    of the error has a line for each.
    """

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        self.problems = problems
        super().__init__('\n'.join(
            f'line {number}: {message}' for number, message in problems))


class Node:
    """A node and what is below it.

    ``properties``
        A dictionary. The name of a link ends in ``' ->'``, that of a
        property link in ``' =>'``.
    ``children``
        A dictionary from name to Node.
    ``acl``
        A tuple of texts ``SCHEME:ID:PERMISSIONS``, or None when not known.
    ``ephemeral``
        Whether the node lives and dies with a session.
    ``version``
        The version of the data of a live node, otherwise -1.
    """

    __slots__ = (
        'name', 'properties', 'children', 'acl', 'ephemeral', 'version')

    def __init__(self, name: str = '', properties: dict | None = None,
                 children: 'dict[str, Node] | None' = None,
                 acl: tuple[str, ...] | None = None,
                 ephemeral: bool = False, version: int = -1) -> None:
        self.name = name
        self.properties = {} if properties is None else properties
        self.children = {} if children is None else children
        self.acl = acl
        self.ephemeral = ephemeral
        self.version = version

    def __repr__(self) -> str:
        return (f'<Node {self.name!r}, {len(self.properties)} properties,'
                f' {len(self.children)} children>')


def without_ephemeral(tree: Node) -> Node:
    """Return a tree without the ephemeral nodes below its top."""
    top = Node()
    stack = [(tree, top)]
    while stack:
        node, copy = stack.pop()
        copy.name, copy.properties = node.name, node.properties
        copy.acl, copy.version = node.acl, node.version
        for name, child in node.children.items():
            if not child.ephemeral:
                copy.children[name] = below = Node()
                stack.append((child, below))
    return top


def name_problem(name: str) -> str | None:
    """Say why ZooKeeper has no node with this name, or None."""
    if _is_plain(name):
        return None
    if name in ('', '.', '..'):
        return f'{name!r} cannot be the name of a node'
    bad = _bad_in_name(name)
    return bad and (f'the name of a node cannot contain {bad[0]!r}:'
                    f' {shorten(name)}')


def is_link(name: str) -> bool:
    """Is the property of this name a symbolic link?"""
    return name.endswith(' ->')
