"""Read a tree from JSON, as `as_json` writes it."""
import json
import re
from typing import TypeGuard

from zc.zk.permissions import from_acl
from zc.zk.permissions import to_acl
from zc.zk.tree.node import MARKS
from zc.zk.tree.node import MAX_DEPTH
from zc.zk.tree.node import Node
from zc.zk.tree.node import TreeError
from zc.zk.tree.node import name_problem
from zc.zk.tree.parser import MAX_TEXT
from zc.zk.tree.strings import shorten

_read_value = json.JSONDecoder().raw_decode
_skip = re.compile(r'[ \t\r\n]*').match

_FIELDS, _CHILDREN = 'fields', 'children'


def parse_json_tree(text: str) -> Node:
    """Return a node whose children are the top nodes of `text`.

    The text is an object of the form that `as_json.tree_as_json` describes,
    formatted in any way. A top object without a name, or with an empty one,
    stands for the returned node itself. Raise TreeError.
    """
    if len(text) > MAX_TEXT:
        raise TreeError([(1, f'the text is longer than {MAX_TEXT}'
                             ' characters')])
    reader = _Reader(text)
    try:
        top = reader.read()
    except RecursionError:
        problem = 'a value is nested too deep'
    except ValueError as error:
        problem = (error.msg if isinstance(error, json.JSONDecodeError)
                   else str(error))
        if isinstance(error, json.JSONDecodeError):
            reader.at = error.pos
    else:
        return Node(children={top.name: top}) if top.name else top
    raise TreeError([(text.count('\n', 0, reader.at) + 1, problem)])


class _Reader:
    """The text, and how much of it is read.

    Nodes are read without recursion, so that a tree of any depth can be.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> Node:
        """Return the node that the whole text is."""
        top = Node()
        self.expect('{')
        # The open objects: what they hold, and of which node.
        stack = [(_FIELDS, top)]
        is_first = True
        while stack:
            kind, node = stack[-1]
            if self.find('}'):
                stack.pop()
                is_first = False
                continue
            if not is_first:
                self.expect(',')
            name = self.value()
            if not isinstance(name, str):
                raise ValueError('expected a text in double quotes')
            self.expect(':')
            is_first = kind == _CHILDREN or name == 'children'
            if kind == _CHILDREN:
                self.expect('{')
                stack.append((_FIELDS, _child(node, name)))
                if len(stack) > 2 * MAX_DEPTH + 2:
                    raise ValueError(f'more than {MAX_DEPTH} levels deep')
            elif name == 'children':
                self.expect('{')
                stack.append((_CHILDREN, node))
            else:
                _set(node, name, self.value(), node is top)
        self.skip()
        if self.at < len(self.text):
            raise ValueError('there is more text behind the tree')
        return top

    def skip(self) -> None:
        """Skip white space."""
        match = _skip(self.text, self.at)
        assert match is not None, 'it matches nothing, too'
        self.at = match.end()

    def find(self, mark: str) -> bool:
        """Return whether a mark comes next; skip it if so."""
        self.skip()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def expect(self, mark: str) -> None:
        """Skip a mark; raise ValueError if anything else is there."""
        if not self.find(mark):
            found = self.text[self.at:self.at + 1]
            raise ValueError(f'expected {mark}, not {found!r}' if found else
                             f'expected {mark}, but the text ends')

    def value(self) -> object:
        """Read any value."""
        self.skip()
        value, self.at = _read_value(self.text, self.at)
        return value


def _child(parent: Node, name: str) -> Node:
    problem = name_problem(name)
    if problem:
        raise ValueError(problem)
    if name in parent.children:
        raise ValueError(f'duplicate node: {shorten(name)}')
    node = parent.children[name] = Node(name)
    return node


def _set(node: Node, name: str, value: object, is_top: bool) -> None:
    """Set what a field says of a node."""
    if name == 'name':
        if not isinstance(value, str) or not is_top and value != node.name:
            raise ValueError(f'name: not {shorten(node.name)}, as the node is'
                             ' called')
        problem = name_problem(value) if value else None
        if problem:
            raise ValueError(problem)
        node.name = value
    elif name == 'properties':
        if not isinstance(value, dict):
            raise ValueError('properties: expected an object')
        node.properties = value
    elif name == 'acl':
        if not _is_list_of_texts(value) or not value:
            raise ValueError('acl: expected a list of texts'
                             ' SCHEME:ID:PERMISSIONS')
        node.acl = from_acl(to_acl(value, hidden=True))
    elif name == 'ephemeral':
        if not isinstance(value, bool):
            raise ValueError('ephemeral: expected true or false')
        node.ephemeral = value
    elif name == 'marks':
        if not _is_list_of_texts(value) or set(value) - set(MARKS):
            raise ValueError(f'marks: expected a list of {", ".join(MARKS)}')
        node.marks = frozenset(value)
    elif name != 'stat':
        raise ValueError(f'unknown field {shorten(name)}; known are name,'
                         ' properties, children, acl, ephemeral, marks and'
                         ' stat')


def _is_list_of_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(
        isinstance(entry, str) for entry in value)
