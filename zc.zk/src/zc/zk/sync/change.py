"""Change: one step from one tree to another; and equality of properties."""
import json
from typing import Any
from typing import NamedTuple

from zc.zk.printable import printable
from zc.zk.tree.node import is_link

ADD_NODE = 'add node'
DELETE_NODE = 'delete node'
ADD_PROPERTY = 'add property'
CHANGE_PROPERTY = 'change property'
REMOVE_PROPERTY = 'remove property'
CHANGE_ACL = 'change acl'

#: Kinds of notes: each says that a node is left as it is.
EXTRA_NODE = 'extra node'
EPHEMERAL_NODE = 'ephemeral node'
KEPT_NODE = 'kept node'
UNREADABLE_NODE = 'unreadable node'
BLOCKED_NODE = 'blocked node'
RESERVED_NODE = 'reserved node'
NOTES = frozenset({EXTRA_NODE, EPHEMERAL_NODE, KEPT_NODE, UNREADABLE_NODE,
                   BLOCKED_NODE, RESERVED_NODE})

_SCALARS = frozenset({str, int, bool, type(None)})


class Change(NamedTuple):
    """One step from one tree to another, or a note that none is taken.

    `kind`
        ``'add node'``, ``'delete node'``, ``'add property'``, ``'change
        property'``, ``'remove property'`` or ``'change acl'``. Or a note:
        ``'extra node'`` (not in the text, and not trimmed), ``'ephemeral
        node'`` (left alone, as it belongs to a session), ``'kept node'``
        (not deleted, because of ephemeral nodes below it), ``'unreadable
        node'`` (left alone, as we may not read it), ``'blocked node'`` (not
        deleted, because of unreadable nodes below it) or ``'reserved node'``
        (left alone, as it belongs to the server).
    `path`
        The path of the node.
    `name`
        The name of the property, None when the change concerns none. The name
        of a link ends in ``' ->'`` or ``' =>'``.
    `old`, `new`
        The values of the property, or the access control lists.
    `properties`
        All properties that the node has afterwards.
    `acl`
        The ACL of a node to add; None for the default of `apply`.
    `version`
        The version of the data that was read; -1 for any version.
    `blank`
        The data of a node that has no properties afterwards: ``'empty'`` for
        a length of 0, ``'null'``, or None for ``{}``.
    """

    kind: str
    path: str
    name: str | None = None
    old: Any = None
    new: Any = None
    properties: dict | None = None
    acl: tuple[str, ...] | None = None
    version: int = -1
    blank: str | None = None

    @property
    def is_note(self) -> bool:
        """Whether this is a note: there is nothing to do."""
        return self.kind in NOTES

    def __str__(self) -> str:
        """Return the change as one line of printable text."""
        return _TEXTS[self.kind](self)

    def as_json(self) -> dict:
        """Return a dictionary for `json`, without what does not apply.

        Keys: ``kind``, ``path``, ``name``, ``old``, ``new``, ``properties``,
        ``acl``.
        """
        fields: dict[str, Any] = {'kind': self.kind, 'path': self.path}
        if self.name is not None:
            fields['name'] = self.name
        if self.kind in (CHANGE_PROPERTY, REMOVE_PROPERTY, CHANGE_ACL):
            fields['old'] = self.old
        if self.kind in (CHANGE_PROPERTY, ADD_PROPERTY, CHANGE_ACL):
            fields['new'] = self.new
        if self.kind == ADD_NODE:
            fields['properties'] = self.properties
            if self.acl is not None:
                fields['acl'] = self.acl
        return fields


def _value_text(name: str, value: object) -> str:
    """Return a property's value as the text of a tree has it."""
    if name[-3:] in (' ->', ' =>') and isinstance(value, str) and (
            value.isprintable()):
        return value
    return repr(value)


def _name_text(name: str) -> tuple[str, str]:
    """Return the kind of a property with its name, and its operator."""
    kind, operator = 'property', '='
    if name[-3:] in (' ->', ' =>'):
        kind = 'link' if is_link(name) else 'property link'
        name, operator = name[:-3], name[-2:]
    return f'{kind} {name if name.isprintable() else repr(name)}', operator


def _shown(text: str) -> str:
    """Return a path in printable characters, and whole."""
    return printable(text, max(len(text), 1))


def _acl_text(acl: tuple[str, ...]) -> str:
    return _shown(', '.join(acl))


def _added_or_removed(change: Change) -> str:
    is_new = change.kind == ADD_PROPERTY
    name = change.name or ''
    text, operator = _name_text(name)
    value = _value_text(name, change.new if is_new else change.old)
    return (f'{_shown(change.path)} {"add" if is_new else "remove"}'
            f' {text} {operator} {value}')


def _changed(change: Change) -> str:
    name = change.name or ''
    return (f'{_shown(change.path)} change {_name_text(name)[0]}'
            f' from {_value_text(name, change.old)}'
            f' to {_value_text(name, change.new)}')


_TEXTS = {
    ADD_NODE: lambda change: f'add {_shown(change.path)}',
    DELETE_NODE: lambda change: f'delete {_shown(change.path)}',
    ADD_PROPERTY: _added_or_removed,
    REMOVE_PROPERTY: _added_or_removed,
    CHANGE_PROPERTY: _changed,
    CHANGE_ACL: lambda change: (
        f'{_shown(change.path)} change ACL from {_acl_text(change.old)}'
        f' to {_acl_text(change.new)}'),
    EXTRA_NODE: lambda change: (
        f'extra path not trimmed: {_shown(change.path)}'),
    EPHEMERAL_NODE: lambda change: (
        f'left alone, as it is ephemeral: {_shown(change.path)}'),
    KEPT_NODE: lambda change: (
        f'not deleted, as there are ephemeral nodes below:'
        f' {_shown(change.path)}'),
    BLOCKED_NODE: lambda change: (
        f'not deleted, as there are nodes below that we may not read:'
        f' {_shown(change.path)}'),
    UNREADABLE_NODE: lambda change: (
        f'left alone, as we may not read it: {_shown(change.path)}'),
    RESERVED_NODE: lambda change: (
        f'left alone, as it belongs to the server: {_shown(change.path)}'),
}


def are_alike(old: dict, new: dict) -> bool:
    """Return whether properties are equal, as far as a fast look can tell.

    False means that `is_same` has to compare them.
    """
    if old != new:
        return False
    for name, value in new.items():
        kind = type(value)
        if kind is not str and (
                kind not in _SCALARS or kind is not type(old[name])):
            return False
    return True


def is_same(old: object, new: object) -> bool:
    """Return whether two values, or properties, are the same to JSON.

    To Python, 1 equals True and 1.0.
    """
    if type(old) is type(new) and type(new) in _SCALARS:
        return old == new
    return _canonical(old) == _canonical(new)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
