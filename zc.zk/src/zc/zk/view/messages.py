"""What the page is told: trees and events as texts of JSON.

A node is a list: its name, its lines as a tree file has them, flags, its
children; and of an ephemeral node the time when it was made (milliseconds
since the epoch) and its session. The lines are the node's own, without
indentation, the first being that of its name.
"""
from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from zc.zk.live.events import Event
from zc.zk.live.text import Show
from zc.zk.live.text import line
from zc.zk.live.until import is_server
from zc.zk.sync.change import DELETE_NODE
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree.node import UNREADABLE

#: Flags: the node has a session; it may not be read; it is a server.
EPHEMERAL, HIDDEN, SERVER = 1, 2, 4

#: The most characters of a line, and lines of a node, that the page is told.
MAX_LINE = 2_000
MAX_LINES = 200


def tree_message(tree: Node | None, path: str, show: Show) -> str:
    """Return a node with all below it as JSON.

    It is an object: ``base`` is `path`, '' for the root; ``tree`` is the
    node, or null. `show` returns what is shown of a property, by its name and
    value.
    """
    base = json.dumps('' if path == '/' else path)
    return f'{{"base":{base},"tree":{_node_message(tree, show)}}}'


def _node_message(tree: Node | None, show: Show) -> str:
    if tree is None:
        return 'null'
    # Not one call of json.dumps: its recursion fails for deep trees.
    parts: list[str] = []
    stack: list[Node | str] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        lines, flags, *rest = _facts(node, show)
        parts.append(_compact([node.name, lines, flags])[:-1] + ',[')
        stack.append(']' + ''.join(f',{_compact(each)}' for each in rest)
                     + ']')
        names = sorted(node.children, reverse=True)
        for number, name in enumerate(names):
            stack.append(node.children[name])
            if number + 1 < len(names):
                stack.append(',')
    return ''.join(parts)


def events_message(events: Iterable[Event], now: float, show: Show) -> str:
    """Return events as JSON; '' when there are none.

    It is a list of lists: the kind of the event, the path, the line that
    tells it, and the node's lines and flags, with time and session of an
    ephemeral one; of a deleted node nothing behind the line. `now` is in
    seconds since the epoch.
    """
    told: list[list[Any]] = []
    for event in events:
        text = line(event, now, show)
        told.append([event.kind, event.path, text[:MAX_LINE]])
        if event.kind != DELETE_NODE:
            told[-1] += _facts(event.node, show)
    return _compact(told) if told else ''


def shown_tree(tree: Node, show: Show, stat: bool = False) -> Node:
    """Return a copy of a tree in which each property is as `show` returns.

    Without `stat`, it has no Stats, and its text none of their lines.
    """
    top = Node()
    stack = [(tree, top)]
    while stack:
        node, copy = stack.pop()
        copy.name, copy.acl = node.name, node.acl
        copy.stat = node.stat if stat else None
        copy.ephemeral, copy.version = node.ephemeral, node.version
        copy.marks = node.marks
        copy.properties = _shown(node, show)
        for name, child in node.children.items():
            copy.children[name] = below = Node()
            stack.append((child, below))
    return top


def _facts(node: Node, show: Show) -> list[Any]:
    flags = ((EPHEMERAL if node.ephemeral else 0)
             | (HIDDEN if UNREADABLE in node.marks else 0)
             | (SERVER if is_server(node) else 0))
    lines = format_tree(Node(node.name or '/', _shown(node, show))
                        ).splitlines()[:MAX_LINES]
    if not node.name:
        lines[0] = '/'
    facts = [[text.lstrip()[:MAX_LINE] for text in lines], flags]
    if node.ephemeral and node.stat is not None:
        facts += [node.stat.ctime, f'{node.stat.ephemeralOwner:#x}']
    return facts


def _compact(value: object) -> str:
    return json.dumps(value, separators=(',', ':'))


def _shown(node: Node, show: Show) -> dict[str, Any]:
    return {name: show(name, value)
            for name, value in node.properties.items()}
