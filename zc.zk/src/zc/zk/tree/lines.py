"""Read one line of a tree text: its kind, its name and its value.

`LineCache` is what the parser asks. `read_line` knows every form of a line,
`split_line` only the forms of zc.zk 2.
"""
import re
from collections.abc import Iterator
from typing import Any

from zc.zk.permissions import from_acl
from zc.zk.permissions import to_acl
from zc.zk.tree.literals import read_literal
from zc.zk.tree.literals import read_string_value
from zc.zk.tree.node import MARKS
from zc.zk.tree.node import name_problem
from zc.zk.tree.strings import STRING
from zc.zk.tree.strings import read_string

NODE, PROPERTY, LINK = 'node', 'property', 'link'
ACL, MARK = 'acl', 'mark'

#: The mark of an ephemeral node; the others are MARKS.
EPHEMERAL = 'ephemeral'

_SPACES = ' \t\r\x0b\x0c'

_quoted_node = re.compile(
    r'/[ \t]+(' + STRING + r')(?:\s*:\s*(\S.*))?').fullmatch
_quoted_property = re.compile(
    r'\[[ \t]+(acl|' + STRING + r')\s*\]\s*=\s*(\S.*)').fullmatch
_mark = re.compile(
    r'\[[ \t]+(' + '|'.join((EPHEMERAL, *MARKS)) + r')\s*\]').fullmatch
_space = re.compile(f'[{_SPACES}]+').search
# A later operator is part of the string, as in NAME='...=...'
_string_begins = re.compile(r"""(?<=.)=[uU[({]*['"]""").search
_OPERATORS = (
    # Operator, kind, suffix of the name, the most words in the value.
    ('=>', LINK, ' =>', 2),
    ('=', PROPERTY, '', 3),
    ('->', LINK, ' ->', 1),
)


def read_line(line: str) -> tuple[str, str, str]:
    """Return the kind of a line, its name, and the text of its value.

    The text is empty for a node without a type. Raise ValueError, which says
    what is wrong with the line.
    """
    if line[0] == '/':
        match = _quoted_node(line)
        if match is not None:
            return NODE, read_string([match[1]]), match[2] or ''
    elif line[0] == '[':
        match = _quoted_property(line)
        if match is not None:
            name, text = match.groups()
            if name == 'acl':
                return ACL, name, text
            return PROPERTY, read_string([name]), text
        match = _mark(line)
        if match is not None:
            return MARK, match[1], ''
    return split_line(line)


def split_line(line: str) -> tuple[str, str, str]:
    """Do as `read_line`, for the forms that zc.zk 2 reads.

    Where spaces are missing, a name is as long as possible, as in zc.zk 2.
    """
    word, rest = _first_word(line)
    for operator, kind, suffix, most_words in _OPERATORS:
        for name, value in _operands(word, rest, line, operator):
            if operator == '=>' and value[:1] == '=':
                # zc.zk 2 exported a property link like this.
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
    """Yield the possible pairs of name and value, the longest name first."""
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
                ) -> tuple[str, str, str]:
    if name and not rest:
        return NODE, name, ''
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
    """Return the number of words, at most 3."""
    words = 1
    space = _space(text)
    while space is not None and words < 3:
        words += 1
        space = _space(text, space.end())
    return words


#: The longest line that is read, in characters: more than four for each byte
#: of a node of 16 MiB. ZooKeeper stores nodes of 1 MiB, or of as much as its
#: jute.maxbuffer says.
MAX_LINE = 5 * 2 ** 24

#: The most lines in a cache, and the longest of them. Services have the same
#: nodes and properties, so that many lines recur.
MAX_CACHED_LINES = 20000
MAX_CACHED_CHARACTERS = 200

PROBLEM = 'problem'

#: A parsed line: its indentation, its kind, and two values that depend on
#: the kind. NODE: name and type. PROPERTY: name and value. ACL: None, and the
#: ACL or the ValueError that says what is wrong with it. MARK: None, and the
#: mark. PROBLEM: whether the
#: line looks like a node, and the ValueError. None for a line without meaning.
ParsedLine = tuple[int, str, Any, Any] | None

#: Matches most lines; `_read` looks at any other step by step. The bounds keep
#: each match shorter than MAX_LINE.
match_common_line = re.compile(
    r'( *)(?:/((?!\.\.?(?:[ \r]|$))[A-Za-z0-9_.:-]{1,999})'
    r'(?: : ((?:[!-~]{1,99} ){0,9}[!-~]{1,99}))?'
    r'|([A-Za-z0-9_.][A-Za-z0-9_.-]{0,999})'
    r" (?:= (?:u?'([ -&(-[\]-~]{0,9999})'|(0|-?[1-9][0-9]{0,17}))"
    r'|-> ([!-~]{1,9999})))[ \r]{0,9}$'
).match
_STRING, _NUMBER = 5, 6

# Types of immutable values, which several nodes may share.
_CONSTANT = (str, int, float, type(None), tuple)


class LineCache(dict[str, ParsedLine]):
    """The lines of one text with their ParsedLine, which is made on demand."""

    def __missing__(self, line: str) -> ParsedLine:
        match = match_common_line(line)
        if match is None:
            if not line or line.isspace():
                return None
            parsed = _read(line)
        elif match[2] is not None:
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
    """Parse any line, step by step."""
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


def _interpret(kind: str, name: str, text: str) -> tuple[str, Any, Any]:
    """Return the last three items of a ParsedLine."""
    if kind == NODE:
        problem = name_problem(name)
        if problem:
            raise ValueError(problem)
        return NODE, name, text
    if kind == MARK:
        return MARK, None, name
    if kind == LINK:
        return PROPERTY, name, text
    if kind == ACL:
        return ACL, None, _read_acl(text)
    if name == 'string_value':
        return PROPERTY, name, read_string_value(text)
    return PROPERTY, name, read_literal(text)


def _read_acl(text: str) -> tuple[str, ...] | ValueError:
    # An error is returned, as the parser first checks whether an ACL may be
    # at this place at all.
    try:
        acl = read_literal(text)
        if not (isinstance(acl, list) and acl
                and all(isinstance(entry, str) for entry in acl)):
            return ValueError(
                "an ACL is written ['SCHEME:ID:PERMISSIONS', ...]")
        # Hashes that ZooKeeper hides are read: an import refuses them only
        # when it has to set the list.
        return from_acl(to_acl(acl, hidden=True))
    except ValueError as error:
        return error
