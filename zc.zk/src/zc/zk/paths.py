"""Node paths: joining, normalising, and following symbolic links.

A symbolic link is a property ``NAME ->`` of a node, whose value is the path
of the node that is found under NAME when there is no child of that name.
"""
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from kazoo.exceptions import NoNodeError
from zc.zk.errors import LinkLoop


def join(path: str, *names: str) -> str:
    """Put names behind a path, which may be the root."""
    return '/'.join((path.rstrip('/'), *names)) or '/'


def split(path: str) -> tuple[str, str]:
    """The path of the parent and the node's name."""
    parent, _, name = path.rpartition('/')
    return parent or '/', name


def normalize(path: str) -> str:
    """An absolute path without ``.``, ``..`` and needless slashes."""
    names: list[str] = []
    for name in path.split('/'):
        if name == '..':
            del names[-1:]
        elif name not in ('', '.'):
            names.append(name)
    return '/' + '/'.join(names)


def relative_to(base: str, target: str) -> str:
    """The path that a link's target means in the node ``base``."""
    return normalize(target if target[:1] == '/' else join(base, target))


def resolve(path: str, exists: Callable[[str], Any],
            properties: Callable[[str], Mapping[str, Any]]) -> str:
    """The path of the node that is meant by ``path``, links followed.

    ``exists`` and ``properties`` ask ZooKeeper about a path. Raises
    NoNodeError with the path as it was asked for, or LinkLoop.
    """
    def find(path: str, seen: tuple[str, ...]) -> str:
        path = normalize(path)
        if exists(path):
            return path
        if path in seen:
            raise LinkLoop((*seen, path))
        if path == '/':
            raise NoNodeError(path)
        parent, name = split(path)
        parent = find(parent, seen)
        if exists(join(parent, name)):
            return join(parent, name)
        target = properties(parent).get(name + ' ->')
        if not isinstance(target, str) or not target:
            raise NoNodeError(path)
        return find(relative_to(parent, target), (*seen, path))

    try:
        return find(path, ())
    except NoNodeError:
        raise NoNodeError(path) from None
