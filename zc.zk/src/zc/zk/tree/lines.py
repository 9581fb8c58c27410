"""One line of a tree text: its kind, its name, and the text of its value."""
import re
from collections.abc import Iterator
from typing import Any

from zc.zk.permissions import from_acl
from zc.zk.permissions import to_acl
from zc.zk.tree.literals import read_literal
from zc.zk.tree.literals import read_string_value
from zc.zk.tree.node import name_problem
from zc.zk.tree.strings import STRING

NODE, PROPERTY, LINK, ACL = 'node', 'property', 'link', 'acl'

_SPACES = ' \t\r\x0b\x0c'

_quoted_node = re.compile(
    r'/[ \t]+(' + STRING + r')(?:\s*:\s*(\S.*))?').fullmatch
_quoted_property = re.compile(
    r'\[[ \t]+(acl|' + STRING + r')\s*\]\s*=\s*(\S.*)').fullmatch
_space = re.compile(f'[{_SPACES}]+').search
# An operator further on in the line is within the string: NAME='...=...'
_string_begins = re.compile(r"""(?<=.)=[uU[({]*['"]""").search
_OPERATORS = (
    # Operator, kind, what it adds to the name, the most words of the value.
    ('=>', LINK, ' =>', 2),
    ('=', PROPERTY, '', 3),
    ('->', LINK, ' ->', 1),
)


def read_line(line: str) -> tuple[str, str, str | None]:
    """Return the kind of a line, its name, and the text of its value.

    Raises ValueError, with the problem.
    """
    if line[0] == '/':
        match = _quoted_node(line)
        if match is not None:
            return NODE, read_literal(match[1]), match[2]
    elif line[0] == '[':
        match = _quoted_property(line)
        if match is not None:
            name, text = match.groups()
            if name == 'acl':
                return ACL, name, text
            return PROPERTY, read_literal(name), text
    return split_line(line)


def split_line(line: str) -> tuple[str, str, str | None]:
    """As `read_line`, for the forms that zc.zk 2 knew.

    Where spaces are missing, a name is as long as it can be, as in zc.zk 2.
    """
    word, rest = _first_word(line)
    for operator, kind, suffix, most_words in _OPERATORS:
        for name, value in _operands(word, rest, line, operator):
            if operator == '=>' and value[:1] == '=':
                # What zc.zk 2 exported for a property link.
                return PROPERTY, name + suffix, value[1:].strip(_SPACES)
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
        return NODE, name, None
    type_ = rest[1:].strip(_SPACES)
    if name and rest[:1] == ':' and type_:
        return NODE, name, type_
    at = name.rfind(':')
    if at > 0:
        return NODE, name[:at], line[at + 2:].strip(_SPACES)
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


#: The longest line that is read, in characters. Four characters for each
#: byte of the largest node that ZooKeeper takes.
MAX_LINE = 5 * 2 ** 20

#: How many lines are remembered, and how long they are at most. Many come
#: again and again: those of nodes and properties that each service has.
MAX_CACHED_LINES = 20000
MAX_CACHED_CHARACTERS = 200

PROBLEM = 'problem'

#: What a line says: its indentation, a kind, and what depends on that: name
#: and type; name and value; None and ACL, or what is wrong with the ACL;
#: whether it may be a node, and what is wrong with it. None when it says
#: nothing.
ParsedLine = tuple[int, str, Any, Any] | None

# What most lines are; the others are looked at step by step. Bounded, as none
# of these may be longer than MAX_LINE.
match_common_line = re.compile(
    r'( *)(?:/((?!\.\.?(?:[ \r]|$))[A-Za-z0-9_.:-]{1,999})'
    r'(?: : ((?:[!-~]{1,99} ){0,9}[!-~]{1,99}))?'
    r'|([A-Za-z0-9_.][A-Za-z0-9_.-]{0,999})'
    r" (?:= (?:u?'([ -&(-[\]-~]{0,9999})'|(0|-?[1-9][0-9]{0,17}))"
    r'|-> ([!-~]{1,9999})))[ \r]{0,9}$'
).match
_TYPE, _STRING, _NUMBER = 3, 5, 6

# Values that nobody can change, so that several nodes may have the same.
_CONSTANT = (str, int, float, type(None), tuple)


class LineCache(dict[str, ParsedLine]):
    """From lines to what they say; for one text, as it grows."""

    def __missing__(self, line: str) -> ParsedLine:
        match = match_common_line(line)
        if match is None:
            if not line or line.isspace():
                return None
            parsed = _read(line)
        elif match.lastindex <= _TYPE:
            parsed = match.end(1), NODE, match[2], match[3]
        elif match.lastindex == _STRING:
            parsed = match.end(1), PROPERTY, match[4], match[5]
        elif match.lastindex == _NUMBER:
            parsed = match.end(1), PROPERTY, match[4], int(match[6])
        else:
            parsed = match.end(1), PROPERTY, match[4] + ' ->', match[7]
        if (len(self) < MAX_CACHED_LINES and len(line) < MAX_CACHED_CHARACTERS
                and (match is not None or parsed is None
                     or isinstance(parsed[3], _CONSTANT))):
            self[line] = parsed
        return parsed


def _read(line: str) -> ParsedLine:
    """What any line says, step by step."""
    stripped = line.strip()
    if stripped[0] == '#':
        return None
    indent = len(line.rstrip()) - len(stripped)
    if len(line) > MAX_LINE:
        return indent, PROBLEM, False, ValueError(
            f'longer than {MAX_LINE} characters')
    kind = NODE
    try:
        kind, name, text = read_line(stripped)
        return indent, *_interpret(kind, name, text)
    except ValueError as error:
        return indent, PROBLEM, kind == NODE, error


def _interpret(kind: str, name: str, text: str | None) -> tuple[str, Any, Any]:
    """Kind, name and value for what is written."""
    if kind == NODE:
        problem = name_problem(name)
        if problem:
            raise ValueError(problem)
        return NODE, name, text
    if kind == LINK:
        return PROPERTY, name, text
    if kind == ACL:
        return ACL, None, _read_acl(text)
    if name == 'string_value':
        return PROPERTY, name, read_string_value(text)
    return PROPERTY, name, read_literal(text)


def _read_acl(text: str) -> tuple[str, ...] | ValueError:
    # An error is not raised: that no ACL may be there at all is told first.
    try:
        acl = read_literal(text)
        if not (isinstance(acl, list) and acl
                and all(isinstance(entry, str) for entry in acl)):
            return ValueError(
                "an ACL is written ['SCHEME:ID:PERMISSIONS', ...]")
        return from_acl(to_acl(acl))
    except ValueError as error:
        return error
