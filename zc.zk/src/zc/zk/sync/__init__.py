"""Text and live trees: export, import, and what an import would change."""
import logging
from collections.abc import Callable
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.security import ACL
from zc.zk.paths import normalize
from zc.zk.paths import split
from zc.zk.permissions import from_acl
from zc.zk.sync import diff
from zc.zk.sync.applier import apply
from zc.zk.sync.change import EPHEMERAL_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree

logger = logging.getLogger('zc.zk.sync')

Progress = Callable[[int], None]


def export_tree(client: KazooClient, path: str = '/',
                ephemeral: bool = False, name: str | None = None) -> str:
    """Return the tree at `path` as text.

    `name` is that of the top node; without it, the root has no line.
    """
    return format_tree(read_tree(client, path), name, ephemeral)


def plan(client: KazooClient, wanted: str | Node, path: str = '/',
         trim: bool | None = None, acl: list[ACL] | None = None, *,
         force: bool = False, progress: Progress | None = None
         ) -> list[Change]:
    """Return what an import would change, and notes; see `diff.plan`."""
    # Without the word, there is no need to look at all nodes.
    needs_acl = bool(acl) or not isinstance(wanted, str) or 'acl' in wanted
    if isinstance(wanted, str):
        wanted = parse_tree(wanted)
    texts = from_acl(acl) if acl else None
    live = read_tree(client, path,
                     acl=needs_acl and (bool(acl) or has_acl(wanted)),
                     like=wanted, extras=trim, progress=progress)
    return diff.plan(wanted, live, path, trim=trim, acl=texts, force=force)


def import_tree(client: KazooClient, wanted: str | Node, path: str = '/',
                trim: bool | None = None, acl: list[ACL] | None = None,
                dry_run: bool = False, *, force: bool = False
                ) -> list[Change]:
    """Make the nodes below `path` those of `wanted`; return the changes.

    With `dry_run` nothing is done. Paths that are not trimmed are logged.
    """
    planned = plan(client, wanted, path, trim, acl, force=force)
    if not dry_run:
        for change in planned:
            if change.is_note:
                logger.warning('%s', change)
        apply(client, planned, acl=acl)
    return planned


def has_acl(tree: Node) -> bool:
    """Does any node of the tree say what its ACL is?"""
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.acl:
            return True
        stack += node.children.values()
    return False


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
    return [change._replace(version=-1) for change in diff.plan(
        Node(), Node(children={name: live}), parent, trim=True,
        trim_top=True, force=force)]


def delete(client: KazooClient, planned: Iterable[Change]) -> None:
    """Delete what was planned, and log the notes."""
    for change in planned:
        if change.is_note:
            logger.warning('%s', change)
    apply(client, planned)
