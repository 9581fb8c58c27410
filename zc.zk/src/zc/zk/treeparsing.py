"""From text to a tree."""
import re

from zc.zk.collecting import paused
from zc.zk.literals import read_literal
from zc.zk.literals import read_string_value
from zc.zk.permissions import from_acl
from zc.zk.permissions import to_acl
from zc.zk.strings import shortened
from zc.zk.treelines import ACL
from zc.zk.treelines import LINK
from zc.zk.treelines import NODE
from zc.zk.treelines import read_line
from zc.zk.treenode import Node
from zc.zk.treenode import TreeError
from zc.zk.treenode import name_problem

#: The longest line and the longest text that are read, in characters. Four
#: characters for each byte of the largest node that ZooKeeper takes.
MAX_LINE = 5 * 2 ** 20
MAX_TEXT = 2 ** 30

#: How many levels of nodes are read.
MAX_DEPTH = 1000

#: How many problems one error tells.
MAX_PROBLEMS = 10

# What most lines are; the others are looked at step by step.
_common = re.compile(
    r'( *)(?:/([A-Za-z0-9_.:-]+)'
    r'|([A-Za-z0-9_.][A-Za-z0-9_.-]*)'
    r" (?:= (?:u?'([ -&(-[\]-~]*)'|(0|-?[1-9][0-9]{0,17}))|-> ([!-~]+)))$"
).match


@paused()
def parse_tree(text: str, node_class: type = Node) -> Node:
    """Return a node whose children are the top nodes of `text`.

    `node_class` is called without arguments, and with the name of a node.
    Raises TreeError, which names the lines.
    """
    if len(text) > MAX_TEXT:
        raise TreeError([(1, f'the text is longer than {MAX_TEXT}'
                             ' characters')])
    return _Parser(node_class).parse(text)


class _Parser:
    """Reads the lines of one text."""

    def __init__(self, node_class: type) -> None:
        self.node_class = node_class
        self.root = node_class()
        # The indentations that are open, and at each of them the node whose
        # properties and children are further in, None after a property.
        self.levels = [[-1, self.root]]
        self.problems: list[tuple[int, str]] = []

    def parse(self, text: str) -> Node:
        for number, line in enumerate(text.split('\n'), 1):
            try:
                match = _common(line)
                if match is not None:
                    self.add_common(*match.groups())
                elif line and not line.isspace():
                    self.add_line(line)
            except ValueError as error:
                self.problems.append(
                    (number, f'{error}: {shortened(line.strip())}'))
                if len(self.problems) == MAX_PROBLEMS:
                    break
        if self.problems:
            raise TreeError(self.problems)
        return self.root

    def add_line(self, line: str) -> None:
        stripped = line.strip()
        if stripped[0] == '#':
            return
        parent = self.open_level(len(line.rstrip()) - len(stripped))
        if len(line) > MAX_LINE:
            raise ValueError(f'longer than {MAX_LINE} characters')
        try:
            kind, name, text = read_line(stripped)
        except ValueError:
            # What is further in is then no problem as well.
            self.levels[-1][1] = self.node_class()
            raise
        if kind == NODE:
            self.add_node(parent, name, text)
        elif kind == LINK:
            self.add_property(parent, name, text)
        elif kind == ACL:
            self.add_acl(parent, text)
        elif name == 'string_value':
            self.add_property(parent, name, read_string_value(text))
        else:
            self.add_property(parent, name, read_literal(text))

    def add_common(self, indent: str, node: str | None, name: str,
                   string: str | None, number: str | None,
                   link: str | None) -> None:
        """Add what a line has that is common."""
        parent = self.open_level(len(indent))
        if node is not None:
            self.add_node(parent, node, None)
        elif string is not None:
            self.add_property(parent, name, string)
        elif number is not None:
            self.add_property(parent, name, int(number))
        else:
            self.add_property(parent, name + ' ->', link)

    def open_level(self, indent: int) -> Node:
        """Note the indentation of a line; return the node it belongs to."""
        levels = self.levels
        if indent > levels[-1][0]:
            if levels[-1][1] is None:
                raise ValueError('nothing can be indented under a property')
            if len(levels) > MAX_DEPTH:
                raise ValueError(f'more than {MAX_DEPTH} levels deep')
            levels.append([indent, None])
        else:
            while indent < levels[-1][0]:
                levels.pop()
            if indent > levels[-1][0]:
                raise ValueError(
                    f'indented by {indent}, which no line above is')
            levels[-1][1] = None
        return levels[-2][1]

    def add_node(self, parent: Node, name: str, type_: str | None) -> None:
        node = self.node_class(name)
        self.levels[-1][1] = node
        problem = name_problem(name)
        if problem:
            raise ValueError(problem)
        if name in parent.children:
            raise ValueError('duplicate node')
        if type_:
            node.properties['type'] = type_
        parent.children[name] = node

    def add_property(self, parent: Node, name: str, value: object) -> None:
        if parent is self.root:
            raise ValueError('there is no node above this property')
        properties = parent.properties
        if name in properties:
            raise ValueError('duplicate property')
        properties[name] = value

    def add_acl(self, parent: Node, text: str) -> None:
        if parent is self.root:
            raise ValueError('there is no node above this ACL')
        if parent.acl is not None:
            raise ValueError('duplicate ACL')
        parent.acl = _read_acl(text)


def _read_acl(text: str) -> tuple[str, ...]:
    acl = read_literal(text)
    if not (isinstance(acl, list) and acl
            and all(isinstance(entry, str) for entry in acl)):
        raise ValueError("an ACL is written ['SCHEME:ID:PERMISSIONS', ...]")
    return from_acl(to_acl(acl))
