"""Quotas: the numbers of nodes and bytes below a path.

See "Quotas" in the ZooKeeper Administrator's Guide. A quota of PATH is a node
``/zookeeper/quota/PATH/zookeeper_limits``; the server keeps the numbers in the
node ``zookeeper_stats`` beside it. Limits are not enforced, as by default in
Apache ZooKeeper (enforceQuota), which only logs that they are exceeded.
"""
import re

ROOT = '/zookeeper/quota'
LIMITS = '/zookeeper_limits'
STATS = '/zookeeper_stats'

NUMBERS = re.compile(rb'count=(-?\d+),bytes=(-?\d+)')


def limited(path: str) -> str | None:
    """Return the path that the node at `path` limits; None for others."""
    return _place(path, LIMITS)


def counted(path: str) -> str | None:
    """Return the path whose numbers the node at `path` has, or None."""
    return _place(path, STATS)


def stats_path(place: str) -> str:
    """Return the path of the node with the numbers of the tree at `place`."""
    return ROOT + place + STATS


def find(path: str, places: set[str]) -> str | None:
    """Return the longest of the limited `places` above or at a path."""
    while path:
        if path in places:
            return path
        path = path.rpartition('/')[0]
    return None


def pack(count: int, size: int) -> bytes:
    """Return the data of a stats node (Java's StatsTrack)."""
    return b'count=%d,bytes=%d' % (count, size)


def unpack(data: bytes | None) -> tuple[int, int]:
    """Return the numbers of nodes and of bytes in a stats node's data."""
    found = NUMBERS.match(data or b'')
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _place(path: str, name: str) -> str | None:
    if path.startswith(ROOT + '/') and path.endswith(name):
        return path[len(ROOT):-len(name)] or None
    return None
