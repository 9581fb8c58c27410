"""Text of a PasteDeploy ini: escaping, so that values come back as written.

The ini format strips lines, drops what looks like a comment, and fills in
``%(name)s``.  A line that would suffer is kept from it by a reference to an
empty value, ``%(__empty__)s``, which stands in ``[DEFAULT]`` where one is
needed.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

EMPTY = '__empty__'
GUARD = f'%({EMPTY})s'
COMMENTS = '#', ';'
INDENT = '    '

Section = tuple[str, Mapping[str, str]]


def render(sections: Iterable[Section], text: str = '') -> str:
    """The ini with the sections, `text` (verbatim) before the last of them.

    Verbatim text stands behind ``[DEFAULT]`` and before the server.
    """
    blocks = [block(name, values) for name, values in sections]
    if any(GUARD in part for part in blocks):
        blocks = _with_guard(blocks)
    if text:
        blocks.insert(len(blocks) - 1, text.strip('\n') + '\n')
    return '\n'.join(blocks)


def _with_guard(blocks: list[str]) -> list[str]:
    empty = (f'# {EMPTY} keeps line ends, blanks and comment signs in the'
             f' values below.\n{EMPTY} =\n')
    if blocks[0].startswith('[DEFAULT]\n'):
        return [blocks[0] + empty, *blocks[1:]]
    return ['[DEFAULT]\n' + empty, *blocks]


def block(name: str, values: Mapping[str, str]) -> str:
    """A section's text."""
    lines = [f'[{name}]']
    for key, value in values.items():
        text = escape(value)
        blank = '' if text[:1] in ('', '\n') else ' '
        lines.append(f'{key} ={blank}{text}')
    return '\n'.join(lines) + '\n'


def escape(value: str) -> str:
    """A value as the ini holds it, further lines indented."""
    first, *rest = value.replace('%', '%%').split('\n')
    lines = [_guarded(first, ())]
    lines += [_guarded(line, COMMENTS) for line in rest]
    if rest and not rest[-1]:
        lines[-1] = GUARD
    return '\n'.join([lines[0], *(INDENT + line if line else ''
                                  for line in lines[1:])])


def _guarded(line: str, signs: tuple[str, ...]) -> str:
    bare = line.strip()
    before = GUARD if line[:1] != bare[:1] or bare.startswith(signs) else ''
    after = GUARD if line[-1:] != bare[-1:] else ''
    return before + line + after


def unwritable(name: str, value: str) -> str:
    """Why the ini format cannot hold the value of this name; '' if it can."""
    if problem := unwritable_name(name):
        return problem
    if '\r' in value:
        return 'a carriage return, which an ini cannot hold'
    try:
        value.encode('utf-8')
    except UnicodeEncodeError:
        return 'a character that is not Unicode text, which an ini cannot hold'
    return ''


def unwritable_name(name: str) -> str:
    """Why the ini format cannot hold an option of this name."""
    if (not name or name != name.strip() or name.startswith('[')
            or name.startswith(COMMENTS) or not name.isprintable()
            or '=' in name or ':' in name):
        return (f'the name {name!r}, which an ini cannot hold: no `=`, `:` or'
                ' line break, no `[`, `#` or `;` in front')
    return ''
