"""Conditions on a tree, for scripts that wait for a service."""
from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from zc.zk.addresses import parse_server_addr
from zc.zk.sync.change import is_same
from zc.zk.tree import Node
from zc.zk.tree.literals import read_literal

#: Whether the node at a path, None without one, is as it should be.
Condition = Callable[[Node | None], bool]

GRAMMAR = """\
EXPRESSION is one condition, or several with `and` between: `3 servers`, `no
servers` or `>= 2 servers` (ephemeral nodes at or below PATH whose name is the
address of a server); the same with `nodes` (all nodes below PATH); `exists` or
`absent` (the node at PATH); `NAME = LITERAL` (one of its properties)."""

_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    '': operator.eq, '=': operator.eq, '==': operator.eq, '!=': operator.ne,
    '<': operator.lt, '<=': operator.le, '>': operator.gt, '>=': operator.ge}

_count = re.compile(
    r'(==|!=|<=|>=|=|<|>|)\s*(no|\d{1,9})\s+(servers?|nodes?)').fullmatch
_property = re.compile(r'([^\s=]+)\s*==?\s*(\S.*)').fullmatch


def read_condition(text: str) -> Condition:
    """Return the condition that an expression stands for; see `GRAMMAR`.

    Raise ValueError for any other text.
    """
    parts = [_read_part(part.strip())
             for part in re.split(r'\sand\s', f' {text} ')]
    return lambda node: all(part(node) for part in parts)


def _read_part(text: str) -> Condition:
    if text == 'exists':
        return lambda node: node is not None
    if text == 'absent':
        return lambda node: node is None
    if match := _count(text):
        compare, wanted = _OPERATORS[match[1]], match[2]
        number = 0 if wanted == 'no' else int(wanted)
        count = server_count if match[3][0] == 's' else node_count
        return lambda node: compare(count(node), number)
    if match := _property(text):
        return _read_property(match[1], match[2])
    raise ValueError(f'{text!r} is no condition; conditions are `3 servers`,'
                     ' `no servers`, `>= 2 servers`, the same with `nodes`,'
                     ' `exists`, `absent` and `NAME = LITERAL`')


def _read_property(name: str, literal: str) -> Condition:
    try:
        wanted: Any = read_literal(literal)
    except ValueError as error:
        raise ValueError(f'{literal!r} is no literal, such as 3 or \'text\':'
                         f' {error}') from None
    return lambda node: (node is not None and name in node.properties
                         and is_same(node.properties[name], wanted))


def server_count(node: Node | None) -> int:
    """Return the number of servers at and below a node.

    They are the ephemeral nodes with the address of a server for a name.
    """
    return sum(is_server(each) for each in _nodes(node))


def node_count(node: Node | None) -> int:
    """Return the number of nodes below a node; 0 without a node."""
    return max(0, len(_nodes(node)) - 1)


def is_server(node: Node) -> bool:
    """Return whether a node is a server: ephemeral, named by an address."""
    if not node.ephemeral:
        return False
    try:
        parse_server_addr(node.name)
    except ValueError:
        return False
    return True


def _nodes(node: Node | None) -> list[Node]:
    found = [] if node is None else [node]
    for each in found:
        found += each.children.values()
    return found
