"""Trees of nodes as text.

::

    /node : type
      # a comment
      name = 'literal'
      link -> /path
      linked_property => /path property
      [ 'any name' ] = 'literal'
      [ acl ] = ['world:anyone:r']
      / 'any name'

A line is what zc.zk 2 read, wherever zc.zk 2 read it. The last three forms,
errors to zc.zk 2, are for what it could not write: names that would not be
read back, and access control lists.
"""
import re
from collections.abc import Callable
from collections.abc import Iterator

from zc.zk.literals import STRING
from zc.zk.literals import read_literal
from zc.zk.literals import read_string_value
from zc.zk.literals import shortened
from zc.zk.literals import write_string_value
from zc.zk.permissions import check_permission

#: The longest line and the longest text that are read, in characters. Four
#: characters for each byte of the largest node that ZooKeeper takes.
MAX_LINE = 5 * 2 ** 20
MAX_TEXT = 2 ** 30

#: How many levels of nodes are read.
MAX_DEPTH = 1000

#: How many problems one error tells.
MAX_PROBLEMS = 10

_SPECIAL = frozenset({'string_value', 'type'})
_SPACES = ' \t\r\x0b\x0c'
_NODE, _PROPERTY, _LINK, _ACL = 'node', 'property', 'link', 'acl'

_is_plain_name = re.compile(r'[A-Za-z0-9_.:-]+').fullmatch
_is_plain_key = re.compile(r'[A-Za-z0-9_.][A-Za-z0-9_.-]*').fullmatch
_quoted_node = re.compile(
    r'/[ \t]+(' + STRING + r')(?:\s*:\s*(\S.*))?').fullmatch
_quoted_property = re.compile(
    r'\[[ \t]+(acl|' + STRING + r')\s*\]\s*=\s*(\S.*)').fullmatch
# What most lines are; the others are looked at step by step.
_common = re.compile(
    r'( *)(?:/([A-Za-z0-9_.:-]+)'
    r'|([A-Za-z0-9_.][A-Za-z0-9_.-]*)'
    r" (?:= (?:u?'([ -&(-[\]-~]*)'|(0|-?[1-9][0-9]{0,17}))|-> ([!-~]+)))$"
).match
_space = re.compile(f'[{_SPACES}]+').search
# An operator further on in the line is within the string: NAME='...=...'
_string_begins = re.compile(r"""(?<=.)=[uU[({]*['"]""").search
_OPERATORS = (
    # Operator, kind, what it adds to the name, the most words of the value.
    ('=>', _LINK, ' =>', 2),
    ('=', _PROPERTY, '', 3),
    ('->', _LINK, ' ->', 1),
)
# As org.apache.zookeeper.common.PathUtils has it, in UTF-16.
_bad_in_name = re.compile(
    '[/\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]'
).search


class TreeError(ValueError):
    """The text is not a tree.

    ``problems`` is a list of pairs of line number and message; the message
    of the error has a line for each.
    """

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        self.problems = problems
        super().__init__('\n'.join(
            f'line {number}: {message}' for number, message in problems))


class Node:
    """A node and what is below it.

    ``properties``
        A dictionary. The name of a link ends in ``' ->'``, that of a
        property link in ``' =>'``.
    ``children``
        A dictionary from name to Node.
    ``acl``
        A tuple of texts ``SCHEME:ID:PERMISSIONS``, or None when not known.
    ``ephemeral``
        Whether the node lives and dies with a session.
    ``version``
        The version of the data of a live node, otherwise -1.
    """

    __slots__ = (
        'name', 'properties', 'children', 'acl', 'ephemeral', 'version')

    def __init__(self, name: str = '', properties: dict | None = None,
                 children: 'dict[str, Node] | None' = None,
                 acl: tuple[str, ...] | None = None,
                 ephemeral: bool = False, version: int = -1) -> None:
        self.name = name
        self.properties = {} if properties is None else properties
        self.children = {} if children is None else children
        self.acl = acl
        self.ephemeral = ephemeral
        self.version = version

    def __repr__(self) -> str:
        return (f'<Node {self.name!r}, {len(self.properties)} properties,'
                f' {len(self.children)} children>')


def parse_tree(text: str, node_class: type = Node) -> Node:
    """Return a node whose children are the top nodes of `text`.

    `node_class` is called without arguments, and with the name of a node.
    Raises TreeError, which names the lines.
    """
    if len(text) > MAX_TEXT:
        raise TreeError([(1, f'the text is longer than {MAX_TEXT}'
                             ' characters')])
    return _Parser(node_class).parse(text)


def format_tree(node: Node, name: str | None = None,
                ephemeral: bool = True) -> str:
    """Return the text that `parse_tree` reads as `node`.

    The node itself gets a line when it has a name, or is given one. Ephemeral
    nodes below it are left out when `ephemeral` is false.
    """
    lines: list[str] = []
    add = lines.append
    beginnings: dict[str, str] = {}
    name = node.name if name is None else name
    stack = [(name, node, '')]
    while stack:
        name, node, indent = stack.pop()
        if name:
            line, type_is_told = _node_line(name, node.properties.get('type'))
            add(indent + line)
            indent += '  '
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


def without_ephemeral(tree: Node) -> Node:
    """Return a tree without the ephemeral nodes below its top."""
    top = Node()
    stack = [(tree, top)]
    while stack:
        node, copy = stack.pop()
        copy.name, copy.properties = node.name, node.properties
        copy.acl, copy.version = node.acl, node.version
        for name, child in node.children.items():
            if not child.ephemeral:
                copy.children[name] = below = Node()
                stack.append((child, below))
    return top


def name_problem(name: str) -> str | None:
    """Say why ZooKeeper has no node with this name, or None."""
    if name in ('', '.', '..'):
        return f'{name!r} cannot be the name of a node'
    bad = None if _is_plain_name(name) else _bad_in_name(name)
    return bad and (f'the name of a node cannot contain {bad[0]!r}:'
                    f' {shortened(name)}')


def is_link(name: str) -> bool:
    """Is the property of this name a symbolic link?"""
    return name.endswith(' ->')


def _node_line(name: str, type_: object) -> tuple[str, bool]:
    """The line of a node, and whether it tells the type as well."""
    typed = bool(type_) and isinstance(type_, str)
    if _is_plain_name(name):
        line = '/' + name
    else:
        line = '/' + name
        if not _is_split_as(line, _NODE, name, None):
            line = '/ ' + repr(name)
        elif typed and not _is_split_as(f'{line} : t', _NODE, name, 't'):
            typed = False
    if typed and (_is_plain_name(type_) or type_.isprintable()
                  and type_.strip() == type_):
        return f'{line} : {type_}', True
    return line, False


def _add_properties(add: Callable[[str], None], indent: str,
                    properties: dict, type_is_told: bool,
                    beginnings: dict[str, str]) -> None:
    """Add the lines of properties, links last.

    `beginnings` remembers what the lines of a name begin with, as names come
    again and again; empty where that depends on the value.
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
        if isinstance(value, str) and _is_split_as(line, _LINK, key, value):
            return line
    else:
        line = f'{key} = {value!r}'
        if _is_split_as(line, _PROPERTY, key, repr(value)):
            return line
    return f'[ {key!r} ] = {value!r}'


def _is_split_as(line: str, *expected: str | None) -> bool:
    if not line.isprintable() or line[0] in '#[' or line[0] == ' ':
        return False
    try:
        return _split(line) == expected
    except ValueError:
        return False


def _split(line: str) -> tuple[str, str, str | None]:
    """Return the kind of a line, its name, and the text of its value.

    Where spaces are missing, a name is as long as it can be, as in zc.zk 2.
    Raises ValueError, with the problem.
    """
    word, rest = _first_word(line)
    for operator, kind, suffix, most_words in _OPERATORS:
        for name, value in _operands(word, rest, line, operator):
            if operator == '=>' and value[:1] == '=':
                # What zc.zk 2 exported for a property link.
                return _PROPERTY, name + suffix, value[1:].strip(_SPACES)
            if value and _count_words(value) <= most_words and not (
                    operator == '=' and value[0] == '>'):
                return kind, name + suffix, value
    if line[0] == '/':
        return _split_node(word[1:], rest, line)
    for operator, form in (('->', 'a link is written NAME -> PATH'),
                           ('=>', 'a property link is written'
                                  ' NAME => PATH [NAME]')):
        if operator in line:
            raise ValueError(form)
    raise ValueError('expected /NODE, NAME = LITERAL, NAME -> PATH'
                     ' or NAME => PATH [NAME]')


def _operands(word: str, rest: str, line: str, operator: str
              ) -> Iterator[tuple[str, str]]:
    """The names and values that may be meant, the longest name first."""
    size = len(operator)
    within = _string_begins(word)
    if within is not None:
        if operator == '=':
            at = within.start()
            yield word[:at], line[at + 1:].strip(_SPACES)
        return
    if rest.startswith(operator):
        yield word, rest[size:].strip(_SPACES)
    end = len(word)
    for _ in range(2):
        at = word.rfind(operator, 1, end)
        if at < 1:
            return
        yield word[:at], line[at + size:].strip(_SPACES)
        end = at + size - 1


def _split_node(name: str, rest: str, line: str
                ) -> tuple[str, str, str | None]:
    if name and not rest:
        return _NODE, name, None
    type_ = rest[1:].strip(_SPACES)
    if name and rest[:1] == ':' and type_:
        return _NODE, name, type_
    at = name.rfind(':')
    if at > 0:
        return _NODE, name[:at], line[at + 2:].strip(_SPACES)
    raise ValueError("a node is written /NODE, /NODE : TYPE or / 'NODE'")


def _first_word(line: str) -> tuple[str, str]:
    space = _space(line)
    if space is None:
        return line, ''
    return line[:space.start()], line[space.end():]


def _count_words(text: str) -> int:
    """The number of words, up to 3."""
    words = 1
    space = _space(text)
    while space is not None and words < 3:
        words += 1
        space = _space(text, space.end())
    return words


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
                    self.read_line(line)
            except ValueError as error:
                self.problems.append(
                    (number, f'{error}: {shortened(line.strip())}'))
                if len(self.problems) == MAX_PROBLEMS:
                    break
        if self.problems:
            raise TreeError(self.problems)
        return self.root

    def read_line(self, line: str) -> None:
        stripped = line.strip()
        if stripped[0] == '#':
            return
        parent = self.open_level(len(line.rstrip()) - len(stripped))
        if len(line) > MAX_LINE:
            raise ValueError(f'longer than {MAX_LINE} characters')
        try:
            kind, name, text = _recognised(stripped)
        except ValueError:
            # What is further in is then no problem as well.
            self.levels[-1][1] = self.node_class()
            raise
        if kind == _NODE:
            self.add_node(parent, name, text)
        elif kind == _LINK:
            self.add_property(parent, name, text)
        elif kind == _ACL:
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


def _recognised(line: str) -> tuple[str, str, str | None]:
    """Return the kind of a line, its name, and the text of its value."""
    if line[0] == '/':
        match = _quoted_node(line)
        if match is not None:
            return _NODE, read_literal(match[1]), match[2]
    elif line[0] == '[':
        match = _quoted_property(line)
        if match is not None:
            name, text = match.groups()
            if name == 'acl':
                return _ACL, name, text
            return _PROPERTY, read_literal(name), text
    return _split(line)


def _read_acl(text: str) -> tuple[str, ...]:
    acl = read_literal(text)
    if not (isinstance(acl, list) and acl
            and all(isinstance(entry, str) for entry in acl)):
        raise ValueError("an ACL is written ['SCHEME:ID:PERMISSIONS', ...]")
    for entry in acl:
        check_permission(entry)
    return tuple(acl)
