"""Write the text of a PasteDeploy ini, and check that it can be read back.

The ini format (configparser's) strips lines, drops lines that look like a
comment, and fills in ``%(name)s``.  A reference to an empty value,
``%(__empty__)s``, protects the start and the end of a line.  The value stands
in ``[DEFAULT]`` if a line needs it.
"""
from __future__ import annotations

import configparser
import os
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from paste.deploy import loadwsgi

EMPTY = '__empty__'
GUARD = f'%({EMPTY})s'
COMMENTS = '#', ';'
INDENT = '    '

SCRATCH = '-scratch.ini'

Section = tuple[str, Mapping[str, str]]
Sections = dict[str, dict[str, str]]


def render(sections: Iterable[Section], text: str = '') -> str:
    """Return the text of an ini with the sections.

    `text` is copied before the last section, the server's.
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
    """Return the text of a section."""
    lines = [f'[{name}]']
    for key, value in values.items():
        text = escape(value)
        blank = '' if text[:1] in ('', '\n') else ' '
        lines.append(f'{key} ={blank}{text}')
    return '\n'.join(lines) + '\n'


def escape(value: str) -> str:
    """Return a value as the ini holds it, its further lines indented."""
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
    """Return why the ini format cannot hold an option; '' if it can."""
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
    """Return why the ini format cannot hold a name; '' if it can."""
    if (not name or name != name.strip() or name.startswith('[')
            or name.startswith(COMMENTS) or not name.isprintable()
            or '=' in name or ':' in name):
        return (f'the name {name!r}, which an ini cannot hold: no `=`, `:` or'
                ' line break, no `[`, `#` or `;` in front')
    return ''


def problems(text: str, directory: str,
             written: Iterable[tuple[str, Mapping[str, str]]],
             ) -> list[str]:
    """Return what is wrong with the text of an ini in `directory`.

    PasteDeploy's loader reads it.  Each section must be readable.  The main
    application, the main server and the sections that they refer to must be
    there.  The values in `written` must come back unchanged.
    """
    try:
        loader = load(text, directory)
        found = {name: dict(loader.parser.items(name))
                 for name in loader.parser.sections()}
        found['DEFAULT'] = shared = dict(loader.parser.defaults())
    except (configparser.Error, ValueError) as error:
        hint = (' (PasteDeploy reads no ini with a % in its path)'
                if '%' in directory else '')
        return [f'the ini cannot be read: {_one_line(error)}{hint}']
    return [*_changed(found, shared, written), *_missing(loader, found)]


def load(text: str, directory: str) -> loadwsgi.ConfigLoader:
    """Return PasteDeploy's loader of a text, as if it were in `directory`."""
    with tempfile.NamedTemporaryFile('w', suffix=SCRATCH,
                                     encoding='utf-8') as file:
        file.write(text)
        file.flush()
        loader = loadwsgi.ConfigLoader(file.name)
    loader.update_defaults({'here': directory,
                            '__file__': os.path.join(directory, SCRATCH)})
    return loader


def _one_line(error: Exception) -> str:
    """Return the error's text without the name of the scratch file."""
    words = ['the ini' if SCRATCH in word else word
             for word in str(error).split()]
    return ' '.join(words).removeprefix('Error in file the ini ')


def _changed(found: Sections, shared: Mapping[str, str],
             written: Iterable[tuple[str, Mapping[str, str]]],
             ) -> Iterator[str]:
    for section, values in written:
        for name, value in values.items():
            if name in shared and section != 'DEFAULT':
                yield (f'option {name!r} of [{section}] is an option of'
                       ' [DEFAULT] too, and PasteDeploy would pass only that'
                       ' one')
            elif found.get(section, {}).get(name) != value:
                yield (f"option {name!r} of [{section}] does not come back"
                       " from PasteDeploy as it was written")


def _missing(loader: loadwsgi.ConfigLoader, found: Sections) -> Iterator[str]:
    for kind in loadwsgi.APP, loadwsgi.SERVER:
        try:
            loader.find_config_section(kind, 'main')
        except LookupError:
            yield ('the ini has no main ' + kind.name + ', one section of '
                   + ', '.join(f'[{prefix}:main]'
                               for prefix in _prefixes(kind)))
    for section, values in found.items():
        for name, kind in _references(section, values):
            yield from _unresolved(loader, section, name, kind)


def _prefixes(kind: Any) -> list[str]:
    return [names[0] for names in kind.config_prefixes]


def _references(section: str, values: Mapping[str, str],
                ) -> Iterator[tuple[str, Any]]:
    """Yield (name, kind of object) for each reference in a section."""
    if section.startswith('pipeline:'):
        *filters, last = values.get('pipeline', '').split() or ['']
        yield from ((name, loadwsgi.FILTER) for name in filters)
        yield last, loadwsgi.APP
    if 'filter-with' in values:
        yield values['filter-with'], loadwsgi.FILTER
    if section.startswith('filter-app:') and 'next' in values:
        yield values['next'], loadwsgi.APP


def _unresolved(loader: loadwsgi.ConfigLoader, section: str, name: str,
                kind: Any) -> Iterator[str]:
    if loader.absolute_name(name):
        return
    try:
        loader.find_config_section(kind, name)
    except LookupError:
        yield (f'[{section}] refers to {name!r}, for which the ini has no'
               f' section [{_prefixes(kind)[0]}:{name}]')
