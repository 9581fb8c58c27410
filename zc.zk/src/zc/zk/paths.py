"""Node paths: join, split and normalise them, and follow symbolic links.

A symbolic link is a property ``NAME ->`` of a node. Its value is a path, which
stands for the child NAME as long as there is no such child.
"""
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from zc.zk.errors import LinkLoop


def join(path: str, *names: str) -> str:
    """Return the path of a node below `path`, which may be the root."""
    return '/'.join((path.rstrip('/'), *names)) or '/'


def split(path: str) -> tuple[str, str]:
    """Return the path of the parent, and the node's name."""
    parent, _, name = path.rpartition('/')
    return parent or '/', name


def normalize(path: str) -> str:
    """Return an absolute path without ``.``, ``..`` and extra slashes."""
    names: list[str] = []
    for name in path.split('/'):
        if name == '..':
            del names[-1:]
        elif name not in ('', '.'):
            names.append(name)
    return '/' + '/'.join(names)


def relative_to(base: str, target: str) -> str:
    """Return the absolute path for a link's target in the node `base`."""
    return normalize(target if target[:1] == '/' else join(base, target))


Exists = Callable[[str], Any]
Properties = Callable[[str], Mapping[str, Any]]


def resolve(path: str, exists: Exists, properties: Properties) -> str:
    """Return the path of the node to which `path` leads, links followed.

    `exists` returns whether there is a node at a path, `properties` the
    properties of a node. Raises LinkLoop; or NoNodeError, with the path that
    has no node and the links that led to it.
    """
    links: list[str] = []
    try:
        return _find(path, (), links, exists, properties)
    except _Missing as error:
        way = f' (by way of the link{"s"[:len(links) - 1]} {", ".join(links)})'
        raise NoNodeError(
            error.path + way if links else path) from None


class _Missing(Exception):
    """There is no node at `path`, in which all links are followed."""

    def __init__(self, path: str) -> None:
        self.path = path


def _find(path: str, seen: tuple[str, ...], links: list[str], exists: Exists,
          properties: Properties) -> str:
    """Return what `resolve` returns, and add followed links to `links`."""
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
        # It exists: for a missing node servers raise no NoAuthError. For
        # an existing node they ask for READ since ZOOKEEPER-2590.
        return True
