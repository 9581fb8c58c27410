"""One line of a tree text: its kind, its name, and the text of its value."""
import re
from collections.abc import Iterator

from zc.zk.tree.literals import read_literal
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
    return split(line)


def split(line: str) -> tuple[str, str, str | None]:
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
