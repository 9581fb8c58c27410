"""One step from one tree to another, as data and as a line of text."""
import json
from typing import Any
from typing import NamedTuple

from zc.zk.tree.node import is_link

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


def are_alike(old: dict, new: dict) -> bool:
    """Are these properties the same, as far as can be seen at once?"""
    if old != new:
        return False
    for name, value in new.items():
        kind = type(value)
        if kind is not str and (
                kind not in _SCALARS or kind is not type(old[name])):
            return False
    return True


def is_same(old: object, new: object) -> bool:
    """Are these values, or properties, the same?"""
    if type(old) is type(new) and type(new) in _SCALARS:
        return old == new
    return _canonical(old) == _canonical(new)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
