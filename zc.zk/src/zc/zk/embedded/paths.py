"""Check and split the paths of znodes."""
import re
from collections.abc import Iterator

from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code

# As org.apache.zookeeper.common.PathUtils.validatePath has it. Java looks at
# UTF-16 units: a character beyond U+FFFF is two surrogates, which it refuses.
FORBIDDEN = re.compile(
    '[\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\U0010ffff]')

RESERVED = frozenset(
    ['/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])


def validate(path: str) -> None:
    """Raise Refused (BAD_ARGUMENTS) for what is not the path of a node."""
    if path == '/':
        return
    names = path.split('/')
    if (
        names[0] or len(names) < 2 or FORBIDDEN.search(path)
        or not {'', '.', '..'}.isdisjoint(names[1:])
    ):
        raise Refused(Code.BAD_ARGUMENTS)


def split(path: str) -> tuple[str, str]:
    """Return the path of the parent, and the name in it.

    Raise Refused (BAD_ARGUMENTS) for a path without a slash.
    """
    parent, slash, name = path.rpartition('/')
    if not slash or '\0' in path:
        raise Refused(Code.BAD_ARGUMENTS)
    return parent or '/', name


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths above a path, from its parent to the root."""
    while path != '/':
        path = path.rpartition('/')[0] or '/'
        yield path
