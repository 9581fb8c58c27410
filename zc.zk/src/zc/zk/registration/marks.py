"""Marks: who was taken out of the list on purpose, and goes on serving.

A server that its operator has withdrawn looks like one that is cut off from
ZooKeeper: its node is gone, and it accepts connections. So `withdraw` can
leave a mark, which consumers that would put the server back ask for.

A mark is an ephemeral node beside the providers node, named
``withdrawn-HOST:PORT``. It is made before the server's node is deleted: who
sees that the one is gone, sees the other. It is deleted when the server is
restored, and ends with the session. A property of the server's node would not
do: who is told of the change may find the node gone already.
"""
from __future__ import annotations

import logging
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.security import READ_ACL_UNSAFE
from zc.zk.paths import join
from zc.zk.paths import split

logger = logging.getLogger('zc.zk.registration')

PREFIX = 'withdrawn-'


def read_marks(client: KazooClient, path: str) -> frozenset[str]:
    """Return the names of servers of a providers node that were withdrawn.

    None of them, if that cannot be read.
    """
    try:
        names = client.get_children(split(path)[0])
    except KazooException as error:
        logger.debug('no marks of %s: %s', path, error)
        return frozenset()
    return frozenset(name[len(PREFIX):] for name in names
                     if name.startswith(PREFIX))


def send_marks(client: KazooClient, paths: Iterable[str]) -> None:
    """Ask for marks of servers, given the paths of their nodes.

    Returns at once: ZooKeeper makes the changes of a session in their order,
    so that they are there before a deletion that is asked for afterwards. A
    mark that cannot be made is logged: the server is withdrawn all the same.
    """
    for path in paths:
        client.create_async(_mark(path), b'', READ_ACL_UNSAFE, True).rawlink(
            lambda answer, path=path: _check(answer, path))


def remove_marks(client: KazooClient, paths: Iterable[str]) -> None:
    """Ask for the deletion of marks; returns at once."""
    for path in paths:
        client.delete_async(_mark(path))


def _mark(path: str) -> str:
    parent, name = split(path)
    return join(split(parent)[0], PREFIX + name)


def _check(answer: object, path: str) -> None:
    error = getattr(answer, 'exception', None)
    if error is not None:
        logger.info('%s: no mark could be left beside the list: %s %s', path,
                    type(error).__name__, error)
