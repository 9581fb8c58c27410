"""Export, import, compare and delete live trees.

`reader` reads a live tree, `diff` finds the changes, `applier` makes them.
"""
import logging
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.security import ACL
from zc.zk.paths import normalize
from zc.zk.paths import split
from zc.zk.permissions import from_acl
from zc.zk.sync import diff
from zc.zk.sync.aclorder import identities
from zc.zk.sync.aclorder import in_order
from zc.zk.sync.applier import apply
from zc.zk.sync.change import EPHEMERAL_NODE
from zc.zk.sync.change import RESERVED_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.reader import Progress
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree

logger = logging.getLogger('zc.zk.sync')

# The child of the root that belongs to the server.
_RESERVED = 'zookeeper'


def export_tree(client: KazooClient, path: str = '/',
                ephemeral: bool = False, name: str | None = None) -> str:
    """Return the tree at `path` as text.

    With `name`, the top node has that name. Without it, the root has no line.
    Ephemeral nodes are left out unless `ephemeral` is true.
    """
    return format_tree(read_tree(client, path), name, ephemeral)


def plan(client: KazooClient, wanted: str | Node, path: str = '/',
         trim: bool | None = None, acl: list[ACL] | None = None, *,
         force: bool = False, skip_unreadable: bool = False,
         progress: Progress | None = None) -> list[Change]:
    """Return what an import would change, and notes; see `diff.plan`.

    The changes are in an order that the ACLs allow, see `aclorder`.
    `skip_unreadable` leaves nodes alone that we may not read. `progress` is
    called with the number of nodes read so far.
    """
    # A text without the word names no ACL: has_acl need not visit the nodes.
    needs_acl = bool(acl) or not isinstance(wanted, str) or 'acl' in wanted
    if isinstance(wanted, str):
        wanted = parse_tree(wanted)
    notes = []
    if not client.chroot and normalize(path) == '/' and (
            _RESERVED in wanted.children):
        notes.append(Change(RESERVED_NODE, '/' + _RESERVED))
        wanted = Node(children={
            name: node for name, node in wanted.children.items()
            if name != _RESERVED})
    texts = from_acl(acl) if acl else None
    live = read_tree(client, path,
                     acl=needs_acl and (bool(acl) or has_acl(wanted)),
                     like=wanted, extras=trim,
                     skip_unreadable=skip_unreadable, progress=progress)
    changes = diff.plan(wanted, live, path, trim=trim, acl=texts, force=force)
    if needs_acl:
        changes = in_order(
            changes, identities(client),
            lambda below: _stated_acl(wanted, live, path, below, texts))
    return notes + changes


def _stated_acl(wanted: Node, live: Node, top: str, path: str,
                default: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the ACL of a live node if the wanted tree states it, else None.

    `top` is the path of the two trees, `default` the ACL for nodes of the
    wanted tree that state none.
    """
    names = path.removeprefix(top.rstrip('/')).split('/')[1:]
    for name in names:
        below, there = wanted.children.get(name), live.children.get(name)
        if below is None or there is None:
            return None
        wanted, live = below, there
    acl = wanted.acl or default
    if not names or acl is None or live.acl is None or (
            set(acl) != set(live.acl)):
        return None
    return live.acl


def import_tree(client: KazooClient, wanted: str | Node, path: str = '/',
                trim: bool | None = None, acl: list[ACL] | None = None,
                dry_run: bool = False, *, force: bool = False
                ) -> list[Change]:
    """Change the nodes below `path` to those of `wanted`.

    Return the changes, and notes, which are logged. With `dry_run`, change
    and log nothing.
    """
    planned = plan(client, wanted, path, trim, acl, force=force)
    if not dry_run:
        for change in planned:
            if change.is_note:
                logger.warning('%s', change)
        apply(client, planned, acl=acl)
    return planned


def has_acl(tree: Node) -> bool:
    """Return whether any node of `tree` has an ACL."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.acl:
            return True
        stack += node.children.values()
    return False


def plan_deletion(client: KazooClient, path: str, force: bool,
                  ignore_if_ephemeral: bool) -> list[Change]:
    """Return the deletions of `path` and all below it, and notes.

    A note names a node that stays. Raise ValueError for the root.
    """
    path = normalize(path)
    if path == '/':
        raise ValueError('the root cannot be deleted')
    live = read_tree(client, path)
    if live.ephemeral and not force:
        return [] if ignore_if_ephemeral else [Change(EPHEMERAL_NODE, path)]
    parent, name = split(path)
    # -1: delete a node also when its data changes meanwhile.
    return [change._replace(version=-1) for change in diff.plan(
        Node(), Node(children={name: live}), parent, trim=True,
        trim_top=True, force=force)]


def delete(client: KazooClient, planned: Iterable[Change]) -> None:
    """Make the planned deletions, and log the notes."""
    for change in planned:
        if change.is_note:
            logger.warning('%s', change)
    apply(client, planned)
