"""Paths of nodes: what is a path, and what is above it."""
import re
from collections.abc import Iterator

from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code

# Apache ZooKeeper looks at UTF-16 units, so surrogates, that is every
# character beyond U+FFFF, are among what it refuses.
FORBIDDEN = re.compile(
    '[\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\U0010ffff]')

RESERVED = frozenset(
    ['/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])


def validate(path: str) -> None:
    """Refuse (bad arguments) what is not the path of a node."""
    if path == '/':
        return
    names = path.split('/')
    if (
        names[0] or len(names) < 2 or FORBIDDEN.search(path)
        or not {'', '.', '..'}.isdisjoint(names[1:])
    ):
        raise Refused(Code.BAD_ARGUMENTS)


def split(path: str) -> tuple[str, str]:
    """The path of the parent, and the name in it."""
    parent, slash, name = path.rpartition('/')
    if not slash or '\0' in path:
        raise Refused(Code.BAD_ARGUMENTS)
    return parent or '/', name


def ancestors(path: str) -> Iterator[str]:
    """The paths above a path, from the nearest to the root."""
    while path != '/':
        path = path.rpartition('/')[0] or '/'
        yield path
