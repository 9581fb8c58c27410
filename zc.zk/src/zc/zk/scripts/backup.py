"""Write a backup: a tree file whose import takes changes back.

A backup has the top nodes that the changes are about, with all nodes below
them, their access control lists, and marks: for nodes whose data is empty or
null, and for top nodes that do not exist yet, which an import with ``--trim``
deletes.
"""
from zc.zk.client import ZooKeeper
from zc.zk.permissions import is_hidden
from zc.zk.printable import printable
from zc.zk.scripts.command import Failure
from zc.zk.scripts.files import write_atomically
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.reader import read_tree
from zc.zk.tree import ABSENT
from zc.zk.tree import MAX_TEXT
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import without_ephemeral

#: The mode of a backup. Its nodes and their ACLs may be secret.
MODE = 0o600

_ABSENT = frozenset({ABSENT})


def write_backup(zk: ZooKeeper, wanted: Node, path: str, changes: list[Change],
                 file: str, what: str, *, ephemeral: bool = False,
                 skip_unreadable: bool = False) -> None:
    """Write the live nodes at the top of `wanted`, the tree below `path`.

    `what` says for the first line of the file what the backup precedes.
    `ephemeral` includes ephemeral nodes, marked. `skip_unreadable` marks nodes
    of `wanted` that we may not read, of which no change can be.

    Raise Failure when the changes delete a node whose whole ACL ZooKeeper
    does not show us: no import could create that node again as it was.
    """
    live = read_tree(zk.client, path, like=wanted, acl=True, exact=True,
                     skip_unreadable=skip_unreadable)
    _check_acls(live, path, changes)
    if not ephemeral:
        live = without_ephemeral(live)
    top = Node(children={
        name: live.children.get(name) or Node(name, marks=_ABSENT)
        for name in wanted.children})
    text = f'# {printable(path)} {printable(what)}\n{format_tree(top)}'
    if len(text) > MAX_TEXT:
        raise Failure(f'{file}: the backup would be longer than {MAX_TEXT:,}'
                      ' characters, and could not be imported')
    write_atomically(text, file, MODE)


def _check_acls(live: Node, path: str, changes: list[Change]) -> None:
    """Raise Failure for deletions of nodes with a hidden ACL."""
    deleted = {change.path for change in changes
               if change.kind == DELETE_NODE}
    hidden = []
    stack = [(path.rstrip('/'), live)] if deleted else []
    while stack:
        path, node = stack.pop()
        if path in deleted and any(map(_has_hidden_id, node.acl or ())):
            hidden.append(path)
        stack += [(f'{path}/{name}', child)
                  for name, child in node.children.items()]
    if hidden:
        raise Failure('\n'.join(
            f'{printable(path)}: cannot be backed up: ZooKeeper hides its'
            ' access control list from us, who have no permission ADMIN'
            for path in sorted(hidden)[:20]) + '\nnothing was changed')


def _has_hidden_id(entry: str) -> bool:
    identity = entry.rpartition(':')[0]
    return identity.startswith('digest:') and is_hidden(identity)
