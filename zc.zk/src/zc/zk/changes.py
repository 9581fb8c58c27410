"""What has to change for one tree to become another, as data."""
import json
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from zc.zk.tree import Node
from zc.zk.tree import is_link
from zc.zk.tree import parse_tree

ADD_NODE = 'add node'
DELETE_NODE = 'delete node'
ADD_PROPERTY = 'add property'
CHANGE_PROPERTY = 'change property'
REMOVE_PROPERTY = 'remove property'
CHANGE_ACL = 'change acl'

#: Kinds that tell what is left as it is.
EXTRA_NODE = 'extra node'
EPHEMERAL_NODE = 'ephemeral node'
KEPT_NODE = 'kept node'
NOTES = frozenset({EXTRA_NODE, EPHEMERAL_NODE, KEPT_NODE})

_MISSING = object()
_SCALARS = frozenset({str, int, bool, type(None)})


class Change(NamedTuple):
    """One step from one tree to the other, or a note that none is taken.

    ``kind``
        ``'add node'``, ``'delete node'``, ``'add property'``, ``'change
        property'``, ``'remove property'`` or ``'change acl'``; or a note:
        ``'extra node'`` (not in the text, and not trimmed), ``'ephemeral
        node'`` (left alone, as it belongs to a session) or ``'kept node'``
        (not deleted, because of ephemeral nodes below it).
    ``path``
        The path of the node.
    ``name``
        Of the property. That of a link ends in ``' ->'`` or ``' =>'``.
    ``old``, ``new``
        The values of the property, or the access control lists.
    ``properties``
        All properties that the node has afterwards.
    ``acl``
        That of a node to be added, if it is not left to who applies it.
    ``version``
        The version of the node's data that was seen, or -1.
    """

    kind: str
    path: str
    name: str | None = None
    old: Any = None
    new: Any = None
    properties: dict | None = None
    acl: tuple[str, ...] | None = None
    version: int = -1

    @property
    def is_note(self) -> bool:
        """Is there nothing to do?"""
        return self.kind in NOTES

    def __str__(self) -> str:
        """One line for a person."""
        return _TEXTS[self.kind](self)

    def as_json(self) -> dict:
        """What `json` can write of it."""
        told = {'kind': self.kind, 'path': self.path}
        if self.name is not None:
            told['name'] = self.name
        if self.kind in (CHANGE_PROPERTY, REMOVE_PROPERTY, CHANGE_ACL):
            told['old'] = self.old
        if self.kind in (CHANGE_PROPERTY, ADD_PROPERTY, CHANGE_ACL):
            told['new'] = self.new
        if self.kind == ADD_NODE:
            told['properties'] = self.properties
            if self.acl is not None:
                told['acl'] = self.acl
        return told


def plan(wanted: str | Node, live: Node, path: str = '/', *,
         trim: bool | None = None, acl: tuple[str, ...] | None = None,
         force: bool = False, trim_top: bool = False) -> list[Change]:
    """Return what makes the nodes below `live` those below `wanted`.

    `wanted` is a tree, or its text; `live` is the node at `path`.

    ``trim``
        Whether nodes that are not wanted are deleted. None tells them as
        notes, false says nothing about them.
    ``acl``
        The access control list that nodes get. Without it, nodes that are
        there keep theirs. A list that `wanted` has for a node goes first.
    ``force``
        Whether ephemeral nodes are changed and deleted.
    ``trim_top``
        Whether `trim` is also about the top nodes. `import_tree` never
        trims these, as a text may be about one of many services.
    """
    if isinstance(wanted, str):
        wanted = parse_tree(wanted)
    made = _Plan(trim, acl, force)
    made.add_below(wanted, live, path.rstrip('/'), trim_top)
    return made.changes


def difference(wanted: Node, live: Node, path: str = '/', *,
               ephemeral: bool = False) -> list[Change]:
    """Return what makes the node `live` at `path`, and all below it, the
    node `wanted`.

    ACLs are compared where `wanted` has them. Ephemeral nodes only count
    when `ephemeral` is true.
    """
    made = _Plan(True, None, ephemeral, ignores_ephemeral=not ephemeral)
    made.add_differences(wanted, live, path)
    made.add_below(wanted, live, path.rstrip('/'), True)
    return made.changes


class _Plan:
    """Collects changes."""

    def __init__(self, trim: bool | None, acl: tuple[str, ...] | None,
                 force: bool, ignores_ephemeral: bool = False) -> None:
        self.trim = trim
        self.acl = acl
        self.force = force
        self.ignores_ephemeral = ignores_ephemeral
        self.changes: list[Change] = []
        self.add = self.changes.append

    def add_below(self, wanted: Node, live: Node, path: str,
                  trim_top: bool) -> None:
        """Compare all that is below two nodes."""
        if trim_top:
            self.add_extras(wanted, live, path)
        stack = _pairs(wanted, live, path)
        while stack:
            wanted, live, path = stack.pop()
            if wanted.ephemeral and self.ignores_ephemeral:
                continue
            if live is None:
                self.add(Change(
                    ADD_NODE, path, properties=wanted.properties,
                    acl=wanted.acl or self.acl))
            elif live.ephemeral and not self.force:
                if not self.ignores_ephemeral and (
                        wanted.children or not _is_same(
                            wanted.properties, live.properties)):
                    self.add(Change(EPHEMERAL_NODE, path))
                continue
            else:
                self.add_differences(wanted, live, path)
                self.add_extras(wanted, live, path)
            if wanted.children:
                stack += _pairs(wanted, live, path)

    def add_differences(self, wanted: Node, live: Node, path: str) -> None:
        """Compare the properties and ACLs of two nodes."""
        old, new = live.properties, wanted.properties
        differ = [name for name in old if name not in new]
        for name, value in new.items():
            if not _is_same(old.get(name, _MISSING), value):
                differ.append(name)
        for name in sorted(differ):
            kind = (ADD_PROPERTY if name not in old else
                    CHANGE_PROPERTY if name in new else REMOVE_PROPERTY)
            self.add(Change(kind, path, name, old.get(name), new.get(name),
                            new, version=live.version))
        acl = wanted.acl or self.acl
        if acl and live.acl is not None and sorted(acl) != sorted(live.acl):
            self.add(Change(CHANGE_ACL, path, old=live.acl, new=acl))

    def add_extras(self, wanted: Node, live: Node, path: str) -> None:
        """Delete, or tell, the children that are not wanted."""
        if self.trim is False or not live.children:
            return
        for name in sorted(live.children.keys() - wanted.children.keys()):
            node = live.children[name]
            if node.ephemeral and not self.force:
                continue
            if self.trim:
                self.add_deletions(node, f'{path}/{name}')
            else:
                self.add(Change(EXTRA_NODE, f'{path}/{name}'))

    def add_deletions(self, node: Node, path: str) -> None:
        """Delete a node, all that is below it first."""
        kept = set()
        for below, parent, live in _children_first(node, path):
            if live.ephemeral and not self.force:
                if not self.ignores_ephemeral:
                    self.add(Change(EPHEMERAL_NODE, below))
                    kept.add(parent)
            elif below in kept:
                self.add(Change(KEPT_NODE, below))
                kept.add(parent)
            else:
                self.add(Change(DELETE_NODE, below, version=live.version))


def _pairs(wanted: Node, live: Node | None, path: str) -> list[tuple]:
    """The children in reverse order, for a stack."""
    below = live.children if live is not None else {}
    return [(wanted.children[name], below.get(name), f'{path}/{name}')
            for name in sorted(wanted.children, reverse=True)]


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


def _is_same(old: object, new: object) -> bool:
    """Are the values the same to JSON? To Python, 1 is True as well."""
    if type(old) is type(new) and type(new) in _SCALARS:
        return old == new
    return old is not _MISSING and _canonical(old) == _canonical(new)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(change: Change, value: object) -> str:
    """A property's value, as it is written in a tree."""
    if change.name[-3:] in (' ->', ' =>') and isinstance(value, str) and (
            value.isprintable()):
        return value
    return repr(value)


def _named(change: Change) -> tuple[str, str]:
    """The kind of a property with its name, and its operator."""
    name = change.name
    kind, operator = 'property', '='
    if name[-3:] in (' ->', ' =>'):
        kind = 'link' if is_link(name) else 'property link'
        name, operator = name[:-3], name[-2:]
    return f'{kind} {name if name.isprintable() else repr(name)}', operator


def _added_or_removed(change: Change) -> str:
    is_new = change.kind == ADD_PROPERTY
    name, operator = _named(change)
    value = _shown(change, change.new if is_new else change.old)
    return (f'{change.path} {"add" if is_new else "remove"}'
            f' {name} {operator} {value}')


def _changed(change: Change) -> str:
    return (f'{change.path} change {_named(change)[0]}'
            f' from {_shown(change, change.old)}'
            f' to {_shown(change, change.new)}')


_TEXTS = {
    ADD_NODE: lambda change: f'add {change.path}',
    DELETE_NODE: lambda change: f'delete {change.path}',
    ADD_PROPERTY: _added_or_removed,
    REMOVE_PROPERTY: _added_or_removed,
    CHANGE_PROPERTY: _changed,
    CHANGE_ACL: lambda change: (
        f'{change.path} change ACL from {", ".join(change.old)}'
        f' to {", ".join(change.new)}'),
    EXTRA_NODE: lambda change: f'extra path not trimmed: {change.path}',
    EPHEMERAL_NODE: lambda change: (
        f'left alone, as it is ephemeral: {change.path}'),
    KEPT_NODE: lambda change: (
        f'not deleted, as there are ephemeral nodes below: {change.path}'),
}
