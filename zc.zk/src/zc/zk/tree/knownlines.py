"""What the lines of a tree text say, looked up, matched, or read in full."""
import re
from typing import Any

from zc.zk.permissions import from_acl
from zc.zk.permissions import to_acl
from zc.zk.tree.lines import ACL
from zc.zk.tree.lines import LINK
from zc.zk.tree.lines import NODE
from zc.zk.tree.lines import PROPERTY
from zc.zk.tree.lines import read_line
from zc.zk.tree.literals import read_literal
from zc.zk.tree.literals import read_string_value
from zc.zk.tree.node import name_problem

#: The longest line that is read, in characters. Four characters for each
#: byte of the largest node that ZooKeeper takes.
MAX_LINE = 5 * 2 ** 20

#: How many lines are remembered, and how long they are at most. Many come
#: again and again: those of nodes and properties that each service has.
MAX_KNOWN = 20000
MAX_KNOWN_LINE = 200

PROBLEM = 'problem'

#: What a line says: its indentation, a kind, and what depends on that: name
#: and type; name and value; None and ACL, or what is wrong with the ACL;
#: whether it may be a node, and what is wrong with it. None when it says
#: nothing.
Said = tuple[int, str, Any, Any] | None

# What most lines are; the others are looked at step by step. Bounded, as none
# of these may be longer than MAX_LINE.
_common = re.compile(
    r'( *)(?:/((?!\.\.?(?:[ \r]|$))[A-Za-z0-9_.:-]{1,999})'
    r'(?: : ((?:[!-~]{1,99} ){0,9}[!-~]{1,99}))?'
    r'|([A-Za-z0-9_.][A-Za-z0-9_.-]{0,999})'
    r" (?:= (?:u?'([ -&(-[\]-~]{0,9999})'|(0|-?[1-9][0-9]{0,17}))"
    r'|-> ([!-~]{1,9999})))[ \r]{0,9}$'
).match
_TYPE, _STRING, _NUMBER = 3, 5, 6

# Values that nobody can change, so that several nodes may have the same.
_CONSTANT = (str, int, float, type(None), tuple)


class KnownLines(dict[str, Said]):
    """From lines to what they say; for one text, as it grows."""

    def __missing__(self, line: str) -> Said:
        match = _common(line)
        if match is None:
            if not line or line.isspace():
                return None
            said = _read(line)
        elif match.lastindex <= _TYPE:
            said = match.end(1), NODE, match[2], match[3]
        elif match.lastindex == _STRING:
            said = match.end(1), PROPERTY, match[4], match[5]
        elif match.lastindex == _NUMBER:
            said = match.end(1), PROPERTY, match[4], int(match[6])
        else:
            said = match.end(1), PROPERTY, match[4] + ' ->', match[7]
        if len(self) < MAX_KNOWN and len(line) < MAX_KNOWN_LINE and (
                match is not None or said is None
                or isinstance(said[3], _CONSTANT)):
            self[line] = said
        return said


def _read(line: str) -> Said:
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
        return indent, *_meant(kind, name, text)
    except ValueError as error:
        return indent, PROBLEM, kind == NODE, error


def _meant(kind: str, name: str, text: str | None) -> tuple[str, Any, Any]:
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
