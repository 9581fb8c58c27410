"""Node paths: joining, normalising, and following symbolic links.

A symbolic link is a property ``NAME ->`` of a node, whose value is the path
of the node that is found under NAME when there is no child of that name.
"""
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from kazoo.exceptions import NoAuthError
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


Exists = Callable[[str], Any]
Properties = Callable[[str], Mapping[str, Any]]


def resolve(path: str, exists: Exists, properties: Properties) -> str:
    """The path of the node that is meant by ``path``, links followed.

    ``exists`` and ``properties`` ask ZooKeeper about a path. Raises
    LinkLoop, or NoNodeError with the path where there should be a node and
    the links that led there.
    """
    links: list[str] = []
    try:
        return _find(path, (), links, exists, properties)
    except _Missing as error:
        way = f' (by way of the link{"s"[:len(links) - 1]} {", ".join(links)})'
        raise NoNodeError(
            error.path + way if links else path) from None


class _Missing(Exception):
    """There is no node at ``path``, which has no links."""

    def __init__(self, path: str) -> None:
        self.path = path


def _find(path: str, seen: tuple[str, ...], links: list[str], exists: Exists,
          properties: Properties) -> str:
    """As `resolve`, adding to `links` those that were followed."""
    path = normalize(path)
    if _is_there(path, exists):
        return path
    if path in seen:
        raise LinkLoop((*seen, path))
    if path == '/':
        raise _Missing(path)
    parent, name = split(path)
    try:
        parent = _find(parent, seen, links, exists, properties)
    except _Missing as error:
        raise _Missing(join(error.path, name)) from None
    here = join(parent, name)
    if here != path and _is_there(here, exists):
        return here
    target = properties(parent).get(name + ' ->')
    if not isinstance(target, str) or not target:
        raise _Missing(here)
    links.append(f'{here} -> {target}')
    return _find(relative_to(parent, target), (*seen, path), links, exists,
                 properties)


def _is_there(path: str, exists: Exists) -> bool:
    try:
        return bool(exists(path))
    except NoAuthError:
        return True  # newer servers ask for READ where there is a node
