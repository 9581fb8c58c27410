"""Find the changes that make one tree another."""
from collections.abc import Iterator

from zc.zk.gcpause import paused
from zc.zk.sync.change import ADD_NODE
from zc.zk.sync.change import ADD_PROPERTY
from zc.zk.sync.change import BLOCKED_NODE
from zc.zk.sync.change import CHANGE_ACL
from zc.zk.sync.change import CHANGE_PROPERTY
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import EPHEMERAL_NODE
from zc.zk.sync.change import EXTRA_NODE
from zc.zk.sync.change import KEPT_NODE
from zc.zk.sync.change import REMOVE_PROPERTY
from zc.zk.sync.change import UNREADABLE_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.change import are_alike
from zc.zk.sync.change import is_same
from zc.zk.tree import ABSENT
from zc.zk.tree import EMPTY
from zc.zk.tree import NULL
from zc.zk.tree import UNREADABLE
from zc.zk.tree import Node
from zc.zk.tree import parse_tree


@paused()
def plan(wanted: str | Node, live: Node, path: str = '/', *,
         trim: bool | None = None, acl: tuple[str, ...] | None = None,
         force: bool = False, trim_top: bool = False) -> list[Change]:
    """Return the changes that make the nodes below `live` those of `wanted`.

    `wanted` is a tree, or its text. `live` is the node at `path`. Raise
    TreeError for a text that is no tree.

    Nodes of `wanted` that are marked as unreadable are left alone, and so are
    those marked as ephemeral. With `force`, ephemeral live nodes get the
    properties of the latter.

    `trim`
        Whether to delete nodes that `wanted` lacks, and those that it marks
        as absent. None makes a note for each of them, false ignores them.
        Live nodes that are marked as unreadable are never deleted.
    `acl`
        The access control list for the nodes. An ACL that `wanted` has for a
        node overrides it. Without either, an existing node keeps its own.
    `force`
        Whether to change and delete ephemeral nodes.
    `trim_top`
        Whether `trim` applies to the top nodes, too. `import_tree` never
        trims these, as a text may describe one of many services.
    """
    if isinstance(wanted, str):
        wanted = parse_tree(wanted)
    made = _Differ(trim, acl, force)
    made.add_below(wanted, live, path.rstrip('/'), trim_top)
    return made.changes


@paused()
def difference(wanted: Node, live: Node, path: str = '/', *,
               ephemeral: bool = False, skip_unreadable: bool = False
               ) -> list[Change]:
    """Return the changes that make `live`, the node at `path`, `wanted`.

    Unlike `plan`, compare the two nodes as well as all nodes below them. ACLs
    are compared where `wanted` has them, ephemeral nodes only when
    `ephemeral` is true. Nodes that `wanted` marks as unreadable are ignored;
    with `skip_unreadable`, those that `live` marks are ignored as well.
    """
    made = _Differ(True, None, ephemeral, ignores_ephemeral=not ephemeral)
    made.is_import = False
    made.skips_unreadable = skip_unreadable
    made.add_differences(wanted, live, path)
    made.add_below(wanted, live, path.rstrip('/'), True)
    return made.changes


class _Differ:
    """Collect the changes between two trees; see `plan` and `difference`."""

    def __init__(self, trim: bool | None, acl: tuple[str, ...] | None,
                 force: bool, ignores_ephemeral: bool = False) -> None:
        self.trim = trim
        self.acl = acl
        self.force = force
        self.ignores_ephemeral = ignores_ephemeral
        self.is_import = True
        self.skips_unreadable = False
        self.changes: list[Change] = []
        self.add = self.changes.append

    def add_below(self, wanted: Node, live: Node, path: str,
                  trim_top: bool) -> None:
        """Compare all nodes below two nodes."""
        if trim_top:
            self.add_extras(wanted, live, path)
        stack = self.pairs(wanted, live, path)
        while stack:
            new, old, path = stack.pop()
            if (new.ephemeral or new.marks) and self.is_done(new, old, path):
                continue
            if old is None:
                self.add(Change(
                    ADD_NODE, path, properties=new.properties,
                    acl=new.acl or self.acl, blank=_blank(new)))
            elif UNREADABLE in old.marks:
                if self.is_import:
                    self.add(Change(UNREADABLE_NODE, path))
                continue
            elif old.ephemeral and not self.force:
                if not self.ignores_ephemeral and (
                        new.children or not is_same(
                            new.properties, old.properties)):
                    self.add(Change(EPHEMERAL_NODE, path))
                continue
            else:
                self.add_differences(new, old, path)
                self.add_extras(new, old, path)
            if new.children:
                stack += self.pairs(new, old, path)

    def is_done(self, wanted: Node, live: Node | None, path: str) -> bool:
        """Do as the marks of a node say; return whether that is all."""
        if wanted.ephemeral:
            if self.ignores_ephemeral:
                return True
            return self.is_import and not (
                self.force and live is not None and live.ephemeral)
        if ABSENT in wanted.marks:
            if live is not None:
                self.add_extra(live, path)
            return True
        return UNREADABLE in wanted.marks

    def pairs(self, wanted: Node, live: Node | None, path: str
              ) -> list[tuple[Node, Node | None, str]]:
        """Return the children to compare, in reverse order, for a stack.

        Each is a triple: the wanted node, the live node or None, the path.
        Leaves that are certainly equal are left out.
        """
        below = live.children if live is not None else {}
        found = []
        for name in sorted(wanted.children, reverse=True):
            new, old = wanted.children[name], below.get(name)
            if new is old:
                continue
            if (old is None or new.children or old.children or new.acl
                    or self.acl or new.marks or old.marks
                    or not are_alike(old.properties, new.properties)):
                found.append((new, old, f'{path}/{name}'))
        return found

    def add_differences(self, wanted: Node, live: Node, path: str) -> None:
        """Compare the properties and ACLs of two nodes."""
        if not are_alike(live.properties, wanted.properties):
            self.add_properties(wanted, live, path)
        acl = wanted.acl or self.acl
        if acl and live.acl is not None and set(acl) != set(live.acl):
            self.add(Change(CHANGE_ACL, path, old=live.acl, new=acl))

    def add_properties(self, wanted: Node, live: Node, path: str) -> None:
        """Compare the properties of two nodes."""
        old, new = live.properties, wanted.properties
        differ = [name for name in old if name not in new]
        for name, value in new.items():
            if name not in old or not is_same(old[name], value):
                differ.append(name)
        for name in sorted(differ):
            kind = (ADD_PROPERTY if name not in old else
                    CHANGE_PROPERTY if name in new else REMOVE_PROPERTY)
            self.add(Change(kind, path, name, old.get(name), new.get(name),
                            new, version=live.version, blank=_blank(wanted)))

    def add_extras(self, wanted: Node, live: Node, path: str) -> None:
        """Delete, or note, the children that `wanted` lacks."""
        if self.trim is False or live.children.keys() <= (
                wanted.children.keys()):
            return
        for name in sorted(live.children.keys() - wanted.children.keys()):
            self.add_extra(live.children[name], f'{path}/{name}')

    def add_extra(self, node: Node, path: str) -> None:
        """Delete, or note, a node that is not wanted."""
        if self.trim is False or node.ephemeral and not self.force:
            return
        if self.trim:
            self.add_deletions(node, path)
        else:
            self.add(Change(EXTRA_NODE, path))

    def add_deletions(self, node: Node, path: str) -> None:
        """Delete a node, after all nodes below it."""
        # The kind of the note for each node that has to stay.
        kept: dict[str, str] = {}
        for below, parent, live in _children_first(node, path):
            if live.ephemeral and not self.force:
                if not self.ignores_ephemeral:
                    self.add(Change(EPHEMERAL_NODE, below))
                    kept[parent] = KEPT_NODE
            elif UNREADABLE in live.marks and self.is_import:
                self.add(Change(UNREADABLE_NODE, below))
                kept[parent] = BLOCKED_NODE
            elif UNREADABLE in live.marks and self.skips_unreadable:
                kept[parent] = ''
            elif below in kept:
                if kept[below]:
                    self.add(Change(kept[below], below))
                kept[parent] = kept[below]
            else:
                self.add(Change(DELETE_NODE, below, version=live.version))


def _blank(node: Node) -> str | None:
    """Return what data a node without properties has; see Change.blank."""
    if node.properties:
        return None
    return (EMPTY if EMPTY in node.marks else
            NULL if NULL in node.marks else None)


def _children_first(node: Node, path: str
                    ) -> Iterator[tuple[str, str, Node]]:
    stack = [(path, '', node, False)]
    while stack:
        path, parent, node, is_done = stack.pop()
        if is_done or not node.children:
            yield path, parent, node
            continue
        stack.append((path, parent, node, True))
        stack += [(f'{path}/{name}', path, node.children[name], False)
                  for name in sorted(node.children, reverse=True)]
