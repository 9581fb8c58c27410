"""Write a tree as text."""
import re
from collections.abc import Callable

from zc.zk.tree.lines import EPHEMERAL
from zc.zk.tree.lines import LINK
from zc.zk.tree.lines import NODE
from zc.zk.tree.lines import PROPERTY
from zc.zk.tree.lines import split_line
from zc.zk.tree.node import ABSENT
from zc.zk.tree.node import MAX_DEPTH
from zc.zk.tree.node import Node
from zc.zk.tree.node import is_link
from zc.zk.tree.stat import stat_text
from zc.zk.tree.strings import shorten
from zc.zk.tree.strings import write_string_value

_SPECIAL = frozenset({'string_value', 'type'})
_is_plain_name = re.compile(r'[A-Za-z0-9_.:-]+').fullmatch
_is_plain_key = re.compile(r'[A-Za-z0-9_.][A-Za-z0-9_.-]*').fullmatch


def format_tree(node: Node, name: str | None = None,
                ephemeral: bool = True) -> str:
    """Return the text that `parse_tree` reads as `node`.

    The node itself gets a line when it has a name, or when `name` is given.
    Ephemeral nodes below it are left out when `ephemeral` is false. Raise
    ValueError for a tree of more than MAX_DEPTH levels.
    """
    lines: list[str] = []
    add = lines.append
    beginnings: dict[str, str] = {}
    name = node.name if name is None else name
    stack = [(name, node, '')]
    most_indented = 2 * MAX_DEPTH
    while stack:
        name, node, indent = stack.pop()
        if name:
            line, type_is_told = _node_line(name, node.properties.get('type'))
            add(indent + line)
            if len(indent) >= most_indented:
                raise ValueError(
                    f'more than {MAX_DEPTH} levels deep, at a node'
                    f' {shorten(name)}: no text can hold this tree')
            indent += '  '
            if node.ephemeral or node.marks or node.stat is not None:
                _add_marks(add, indent, node)
                if ABSENT in node.marks:
                    continue
            if node.acl is not None:
                add(f'{indent}[ acl ] = {list(node.acl)!r}')
            if node.properties:
                _add_properties(add, indent, node.properties, type_is_told,
                                beginnings)
        children = node.children
        if children:
            stack.extend(
                (name, children[name], indent)
                for name in sorted(children, reverse=True)
                if ephemeral or not children[name].ephemeral)
    add('')
    return '\n'.join(lines) if len(lines) > 1 else '\n'


def _add_marks(add: Callable[[str], None], indent: str, node: Node) -> None:
    if node.stat is not None:
        add(f'{indent}# {stat_text(node.stat)}')
    if node.ephemeral:
        add(f'{indent}[ {EPHEMERAL} ]')
    for mark in sorted(node.marks):
        add(f'{indent}[ {mark} ]')


def _node_line(name: str, type_: object) -> tuple[str, bool]:
    """Return the line of a node, and whether it includes the type."""
    type_text = type_ if isinstance(type_, str) else ''
    has_type = bool(type_text)
    if _is_plain_name(name):
        line = '/' + name
    else:
        line = '/' + name
        if not _is_split_as(line, NODE, name, ''):
            line = '/ ' + repr(name)
        elif has_type and not _is_split_as(f'{line} : t', NODE, name, 't'):
            has_type = False
    if has_type and (_is_plain_name(type_text) or type_text.isprintable()
                     and type_text.strip() == type_text):
        return f'{line} : {type_text}', True
    return line, False


def _add_properties(add: Callable[[str], None], indent: str,
                    properties: dict, type_is_told: bool,
                    beginnings: dict[str, str]) -> None:
    """Add the lines of properties, links last.

    `beginnings` caches, by the name of a property, what its lines begin with:
    the same names recur in most nodes. It holds an empty text for a name whose
    lines depend on the value.
    """
    links = []
    for key in sorted(properties):
        beginning = beginnings.get(key)
        if beginning is None:
            is_plain = _is_plain_key(key) and key not in _SPECIAL
            beginning = beginnings[key] = f'{key} = ' if is_plain else ''
        if beginning:
            add(f'{indent}{beginning}{properties[key]!r}')
        elif is_link(key):
            links.append(key)
        elif key != 'type' or not type_is_told:
            add(indent + _property_line(key, properties[key]))
    for key in links:
        add(indent + _property_line(key, properties[key]))


def _property_line(key: str, value: object) -> str:
    if key == 'string_value' and isinstance(value, str):
        return f'string_value = {write_string_value(value)}'
    if _is_plain_key(key):
        return f'{key} = {value!r}'
    if key[-3:] in (' ->', ' =>'):
        line = f'{key} {value}'
        if isinstance(value, str) and _is_split_as(line, LINK, key, value):
            return line
    else:
        line = f'{key} = {value!r}'
        if _is_split_as(line, PROPERTY, key, repr(value)):
            return line
    return f'[ {key!r} ] = {value!r}'


def _is_split_as(line: str, *expected: str | None) -> bool:
    if not line.isprintable() or line[0] in '#[' or line[0] == ' ':
        return False
    try:
        return split_line(line) == expected
    except ValueError:
        return False
