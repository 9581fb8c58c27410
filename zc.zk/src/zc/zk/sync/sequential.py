"""Find imported nodes that may get in the way of sequential nodes.

For a sequential node, ZooKeeper adds ten digits to the name: how many children
its parent has got so far (Programmer's Guide, "Sequence Nodes"). An import
creates nodes of the names in the file, but cannot set that number. Where a
name has a higher one, a creation fails with NodeExistsError once ZooKeeper has
counted that far.
"""
import re
from collections.abc import Iterable
from collections.abc import Iterator

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.sync.change import ADD_NODE
from zc.zk.sync.change import Change

_sequential = re.compile(r'(.*?)(\d{10})', re.DOTALL).fullmatch


def conflicts(client: KazooClient, changes: Iterable[Change]
              ) -> Iterator[tuple[str, str]]:
    """Yield the path of a node to add, and of the next sequential node.

    There is at most one for each parent: the node with the highest number, if
    ZooKeeper has not counted beyond it when the changes are made.
    """
    highest: dict[str, tuple[int, str]] = {}
    counts: dict[str, int] = {}
    for change in changes:
        if change.kind != ADD_NODE:
            continue
        parent, name = split(change.path)
        counts[parent] = counts.get(parent, 0) + 1
        match = _sequential(name)
        if match is not None:
            found = int(match[2]), match[1]
            highest[parent] = max(highest.get(parent, found), found)
    for parent, (number, prefix) in sorted(highest.items()):
        following = counts[parent] + _creations(client, parent)
        if number >= following:
            yield (join(parent, f'{prefix}{number:010}'),
                   join(parent, f'{prefix}{following:010}'))


def _creations(client: KazooClient, path: str) -> int:
    """Return how many children a node has got so far; 0 for no node.

    Its Stat tells creations and deletions together (DataNode.copyStat).
    """
    try:
        stat = client.exists(path)
    except NoAuthError:
        return 0
    return (stat.cversion + stat.numChildren) // 2 if stat is not None else 0
