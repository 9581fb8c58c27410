"""Deleting a node and all that is below it, in transactions."""
import logging
from collections.abc import Iterable

from kazoo.client import KazooClient
from zc.zk.paths import normalize
from zc.zk.paths import split
from zc.zk.sync.applier import apply
from zc.zk.sync.diff import EPHEMERAL_NODE
from zc.zk.sync.diff import Change
from zc.zk.sync.diff import plan
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node

logger = logging.getLogger('zc.zk.sync')


def plan_deletion(client: KazooClient, path: str, force: bool,
                  ignore_if_ephemeral: bool) -> list[Change]:
    """What there is to delete, and notes about what is not deleted."""
    path = normalize(path)
    if path == '/':
        raise ValueError('the root cannot be deleted')
    live = read_tree(client, path)
    if live.ephemeral and not force:
        return [] if ignore_if_ephemeral else [Change(EPHEMERAL_NODE, path)]
    parent, name = split(path)
    # Whatever the nodes have become meanwhile, they are to go.
    return [change._replace(version=-1) for change in plan(
        Node(), Node(children={name: live}), parent, trim=True,
        trim_top=True, force=force)]


def delete(client: KazooClient, planned: Iterable[Change]) -> None:
    """Delete what was planned, and log the notes."""
    for change in planned:
        if change.is_note:
            logger.warning('%s', change)
    apply(client, planned)
