"""The options of a buildout section: the recipe's own, and the server's.

The server's come from the table in `options.py` and pass through; the
recipe's own are declared here, in the same kind of rows.
"""
from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable
from collections.abc import Mapping

from zc.zkzopeserver import options as server_options
from zc.zkzopeserver.options import Bad
from zc.zkzopeserver.options import Option
from zc.zkzopeserver.options import shorten

# Closer than this, a name that nobody knows is taken for a slip of the pen.
NEAR = 0.8


def factory(value: str) -> str:
    """``egg:DIST#NAME`` or ``call:MODULE:FACTORY``, as PasteDeploy has it."""
    value = value.strip()
    if not re.fullmatch(r'egg:[A-Za-z0-9][A-Za-z0-9._-]*(#[^\s#]+)?'
                        r'|call:\w+(\.\w+)*:\w+(\.\w+)*', value):
        raise Bad('egg:DIST#NAME or call:MODULE:FACTORY')
    return value


def pairs(value: str) -> dict[str, str]:
    """``key = value`` lines; lines that are indented belong to the one before.

    Lines that begin with ``#`` or ``;`` are comments, those of a value are
    not.
    """
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in value.strip('\n').split('\n'):
        if line[:1].isspace() or not line:
            if current is not None:
                current.append(line)
            elif line.strip():
                raise Bad(f'`key = value` lines, not {line.strip()!r}')
        elif not line.startswith(('#', ';')):
            key, equals, first = (part.strip() for part in
                                  line.partition('='))
            if not equals or not key:
                raise Bad(f'`key = value` lines, not {line!r}')
            if key in found:
                raise Bad(f'each key once, not {key!r} twice')
            current = found[key] = [first]
    return {key: _joined(lines) for key, lines in found.items()}


def _joined(lines: list[str]) -> str:
    first, *rest = lines
    while rest and not rest[-1].strip():
        rest.pop()
    if not rest:
        return first
    text = textwrap.dedent('\n'.join(rest))
    return f'{first}\n{text}' if first else text


def verbatim(value: str) -> str:
    """Text that is used as it is."""
    if not value.strip():
        raise Bad('some text')
    return value


OWN: tuple[Option, ...] = (
    Option('app', factory, None,
           'the application: egg:DIST#NAME or call:MODULE:FACTORY'),
    Option('app-options', pairs, {},
           'options of the application, a `key = value` a line',
           shown='none'),
    Option('ini', verbatim, None,
           'instead of `app`: the application sections themselves, verbatim'),
)

# What zc.recipe.egg reads or sets, and what buildout keeps in a section.
EGG_OPTIONS = (
    'eggs', 'index', 'find-links', 'extra-paths', 'relative-paths',
    'interpreter', 'scripts', 'entry-points', 'dependent-scripts',
    'arguments', 'initialization')
KEPT = ('recipe', 'location', 'executable', 'bin-directory', '_b',
        'develop-eggs-directory', '_d', 'eggs-directory', '_e',
        'buildout-directory', '<part-dependencies>', '<', '__doing__')

BY_NAME = {option.name: option for option in OWN}
KNOWN = {**BY_NAME, **server_options.BY_NAME,
         **dict.fromkeys((*EGG_OPTIONS, *KEPT))}


def known(options: Mapping[str, str]) -> dict[str, str]:
    """The options that we know.

    Only those are asked for, as buildout warns of options that nobody reads.
    """
    return {name: options[name] for name in options if name in KNOWN}


def check(raw: Mapping[str, str]) -> tuple[dict[str, object], list[str]]:
    """A section -> (values of the recipe's own options, problems)."""
    values: dict[str, object] = {}
    problems = []
    for option in OWN:
        values[option.name] = option.default
        if option.name not in raw:
            continue
        try:
            values[option.name] = option.parse(raw[option.name])
        except Bad as allowed:
            problems.append(refusal(option.name, raw[option.name], allowed))
    return values, problems


def refusal(name: str, value: str, allowed: Bad) -> str:
    """The sentence of a parser's refusal."""
    if str(allowed).startswith(('`', 'each ')):
        return f'option {name!r} takes {allowed}'
    return f'option {name!r}: {shorten(value)} is not {allowed}'


def unknown(names: Iterable[str]) -> list[str]:
    """Problems of the names that are nearly those of options.

    Others stay: a section is also where people keep values of their own, and
    buildout itself warns of those that nothing uses.
    """
    problems = []
    for name in names:
        if name not in KNOWN and (near := _nearest(name)):
            problems.append(server_options.unknown(name, {near: None}))
    return problems


def _nearest(name: str) -> str:
    for known in KNOWN:
        if _flat(known) == _flat(name):
            return known
    near = difflib.get_close_matches(name, KNOWN, 1, NEAR)
    return near[0] if near else ''


def _flat(name: str) -> str:
    return re.sub('[-_ ]', '', name).lower()


def server_values(raw: Mapping[str, str]) -> dict[str, str]:
    """Those options of a section that are the server's, as they are."""
    return {name: raw[name] for name in server_options.BY_NAME if name in raw}
