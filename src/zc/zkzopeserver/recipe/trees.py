"""Read trees of ZooKeeper nodes in sections, check and merge them."""
from __future__ import annotations

import os
from collections.abc import Mapping

from zc.zk import tree

Node = tree.Node


def read(value: str, directory: str) -> tuple[str, list[str]]:
    """Return (text, problems) of an option that is a tree or names a file.

    The name of a file is relative to `directory`.
    """
    value = value.strip('\n')
    where = ''
    path = os.path.join(directory, value)
    if '\n' not in value and os.path.isfile(path):
        with open(path, encoding='utf-8') as file:
            value = file.read()
        where = f' of {path}'
    try:
        tree.parse_tree(value)
    except tree.TreeError as error:
        if '\n' not in value and not where:
            return '', [f"option 'tree': {value!r} is neither a file nor a"
                        f' tree ({error})']
        return '', [f"option 'tree': line {number}{where}: {message}"
                    for number, message in error.problems]
    except UnicodeDecodeError:
        return '', [f"option 'tree': {path} is not UTF-8 text"]
    return value.rstrip('\n') + '\n', []


def merge(texts: Mapping[str, str]) -> tuple[str, list[str]]:
    """Merge the trees of several parts; return (text, problems)."""
    whole = _MergedTree()
    for part, text in texts.items():
        whole.add(tree.parse_tree(text), whole.root, '', part)
    if whole.problems:
        return '', whole.problems
    return tree.format_tree(whole.root), []


class _MergedTree:
    """A tree of several parts, which remembers the part of each property."""

    def __init__(self) -> None:
        self.root = Node()
        self.problems: list[str] = []
        self._first_parts: dict[tuple[str, str], str] = {}

    def add(self, node: Node, to: Node, path: str, part: str) -> None:
        """Add the tree of `part` below `node` to the node `to`.

        Trees may be deeper than Python's recursion.
        """
        stack = [(node, to, path)]
        while stack:
            node, to, path = stack.pop()
            self._add_node(node, to, path, part)
            stack += [(child, to.children.setdefault(name, Node(name)),
                       f'{path}/{name}')
                      for name, child in reversed(node.children.items())]

    def _add_node(self, node: Node, to: Node, path: str, part: str) -> None:
        for name, value in node.properties.items():
            present = to.properties.setdefault(name, value)
            self._agree(path, name, present == value, part)
        if node.acl is not None:
            to.acl = to.acl or node.acl
            self._agree(path, 'acl', to.acl == node.acl, part)
        to.ephemeral = to.ephemeral or node.ephemeral
        to.marks |= node.marks

    def _agree(self, path: str, name: str, agrees: bool, part: str) -> None:
        first = self._first_parts.setdefault((path, name), part)
        if not agrees:
            self.problems.append(f'the parts {first!r} and {part!r} do not'
                                 f' agree on {name!r} of {path}')
