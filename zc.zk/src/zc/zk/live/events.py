"""What happened to the nodes of a tree between two looks at it."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from kazoo.protocol.states import ZnodeStat
from zc.zk.paths import split
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.diff import difference
from zc.zk.tree import Node

#: The kind of an event: a node was deleted and made again between two looks,
#: by another session or with the same data.
REPLACED = 'replace node'


class Event(NamedTuple):
    """What happened to one node, or to one of its properties.

    `kind`
        The kind of a `Change`, or ``'replace node'``.
    `path`
        The path of the node.
    `change`
        The change; None for ``'replace node'``.
    `node`
        The node as it is now; of a deleted one, as it was.
    """

    kind: str
    path: str
    change: Change | None
    node: Node

    @property
    def session(self) -> int | None:
        """The session that the node belongs to; None for other nodes."""
        stat = self.node.stat
        return stat.ephemeralOwner if stat and self.node.ephemeral else None

    def age_s(self, now: float) -> float | None:
        """Return how long ago the node was made, in seconds.

        `now` is in seconds since the epoch. ZooKeeper's clock made the node:
        where clocks differ the result may be wrong, but is never negative.
        None when the Stat is not known.
        """
        stat = self.node.stat
        return max(0.0, now - stat.ctime / 1000) if stat else None


def events(old: Node | None, new: Node | None, path: str) -> Iterator[Event]:
    """Yield what happened between two looks at the node at `path`.

    None stands for a node that does not exist. Deletions come children first,
    each other node comes before those below it.
    """
    if path == '/':
        above, before, after = '', old or Node(), new or Node()
    else:
        parent, name = split(path)
        above = parent.rstrip('/')
        before = Node(children={} if old is None else {name: old})
        after = Node(children={} if new is None else {name: new})
    for change in difference(after, before, above or '/', ephemeral=True):
        tree = before if change.kind == DELETE_NODE else after
        yield Event(change.kind, change.path, change,
                    _find(tree, change.path[len(above):]))
    yield from _replaced(before, after, above)


def _find(tree: Node, path: str) -> Node:
    for name in path.split('/')[1:] if path != '/' else ():
        tree = tree.children[name]
    return tree


def _replaced(before: Node, after: Node, path: str) -> Iterator[Event]:
    stack = [(before, after, path)]
    while stack:
        old, new, path = stack.pop()
        if _birth(old.stat) != _birth(new.stat):
            yield Event(REPLACED, path, None, new)
        stack += [(old.children[name], child, f'{path}/{name}')
                  for name, child in new.children.items()
                  if name in old.children]


def _birth(stat: ZnodeStat | None) -> Any:
    return stat and stat.czxid
