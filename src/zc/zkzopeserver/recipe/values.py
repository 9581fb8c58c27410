"""The parsers of the recipe's own options: text in, value out.

Each takes text and returns the value it stands for, or raises InvalidValue,
as those of `zc.zkzopeserver.options` do.
"""
from __future__ import annotations

import re
import textwrap

from zc.zk import redaction
from zope.server.values import InvalidValue
from zope.server.values import boolean

FACTORY = (r'egg:[A-Za-z0-9][A-Za-z0-9._-]*(#[^\s#]+)?'
           r'|call:\w+(\.\w+)*:\w+(\.\w+)*')


def factory(value: str) -> str:
    """Parse ``egg:DIST#NAME`` or ``call:MODULE:FACTORY``, for PasteDeploy."""
    value = value.strip()
    if not re.fullmatch(FACTORY, value):
        raise InvalidValue('egg:DIST#NAME or call:MODULE:FACTORY')
    return value


def filters(value: str) -> list[tuple[str, str]]:
    """Parse filters; return pairs (factory, section), either may be ''.

    A line is ``egg:DIST#NAME``, the same with the name of a section for the
    options behind it, or the name of a section that has a `use`.
    """
    parsed: list[tuple[str, str]] = []
    for line in value.split('\n'):
        may_follow = False
        for word in line.split():
            if re.fullmatch(FACTORY, word):
                parsed.append((word, ''))
                may_follow = True
            elif re.match('(egg|call):', word):
                raise InvalidValue(
                    f'`egg:DIST#NAME [SECTION]` lines, not {word!r}')
            elif may_follow:
                parsed[-1] = parsed[-1][0], word
                may_follow = False
            else:
                parsed.append(('', word))
    return parsed


def pairs(value: str) -> dict[str, str]:
    """Parse ``key = value`` lines; return {key: value}.

    An indented line belongs to the value before it.  A line that begins with
    ``#`` or ``;`` is a comment, unless it is indented.
    """
    lines_by_key: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in value.strip('\n').split('\n'):
        if line[:1].isspace() or not line:
            if current is not None:
                current.append(line)
            elif line.strip():
                raise InvalidValue(
                    f'`key = value` lines, not {line.strip()!r}')
        elif not line.startswith(('#', ';')):
            key, equals, first = (part.strip() for part in
                                  line.partition('='))
            if not equals or not key:
                raise InvalidValue(f'`key = value` lines, not {line!r}')
            if key in lines_by_key:
                raise InvalidValue(f'each key once, not {key!r} twice')
            current = lines_by_key[key] = [first]
    return {key: _joined(lines) for key, lines in lines_by_key.items()}


def _joined(lines: list[str]) -> str:
    first, *rest = lines
    while rest and not rest[-1].strip():
        rest.pop()
    if not rest:
        return first
    text = textwrap.dedent('\n'.join(rest))
    return f'{first}\n{text}' if first else text


def environment(value: str) -> dict[str, str]:
    """Parse lines ``NAME VALUE`` or ``NAME=VALUE``; return {name: value}."""
    variables: dict[str, str] = {}
    for line in value.split('\n'):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        match = re.fullmatch(
            r'([A-Za-z_][A-Za-z0-9_]*)(?:\s*=\s*|\s+|$)(.*)', line)
        if not match or '\0' in line:
            raise InvalidValue(
                f'`NAME VALUE` or `NAME=VALUE` lines, not {line!r}')
        if match[1] in variables:
            raise InvalidValue(f'each name once, not {match[1]!r} twice')
        variables[match[1]] = match[2]
    return variables


def verbatim(value: str) -> str:
    """Return the text as it is; refuse an empty one."""
    if not value.strip():
        raise InvalidValue('some text')
    return value


def names(value: str) -> list[str]:
    """Parse names of instances, which become names of files."""
    words = value.split()
    for name in words:
        if not re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9_-]*', name):
            raise InvalidValue('names of letters, digits, - and _')
        if words.count(name) > 1:
            raise InvalidValue(f'each name once, not {name!r} twice')
    if not words:
        raise InvalidValue('names of letters, digits, - and _')
    return words


def credential(value: str) -> str:
    """Parse the text of a `zookeeper_auth_file`; errors do not quote it."""
    value = value.strip()
    if not re.fullmatch(r'digest [^\s:]+:\S+', value):
        raise InvalidValue('`digest USER:PASSWORD`')
    return value


def flag_or_directory(value: str) -> bool | str:
    """Parse true, false or the absolute path of a directory."""
    value = value.strip()
    if value.startswith('/') and value.isprintable():
        return value
    try:
        return boolean(value)
    except InvalidValue:
        raise InvalidValue(
            'true, false or the absolute path of a directory') from None


def flag_or_text(value: str) -> bool | str:
    """Parse true, false or text of several words."""
    try:
        return boolean(value)
    except InvalidValue:
        if len(value.split()) > 1 or '\n' in value:
            return value
    raise InvalidValue('true, false or the directives themselves')


def unit_lines(value: str) -> dict[str, list[str]]:
    """Parse lines of a unit of systemd; return {section: lines}.

    Lines before the first ``[SECTION]`` belong to ``[Service]``.
    """
    lines_by_section: dict[str, list[str]] = {}
    section = 'Service'
    continues = False
    for line in map(str.strip, value.split('\n')):
        if line in ('[Unit]', '[Service]', '[Install]') and not continues:
            section = line[1:-1]
        elif line:
            if not continues and not re.match(r'[A-Za-z]+\s*=|[#;]', line):
                raise InvalidValue(
                    '`Name=value` lines, and `[Unit]`, `[Service]` and'
                    f' `[Install]` before those of these, not {line!r}')
            if re.match(r'(Environment|SetCredential)\s*=', line) and (
                    redaction.mentions_secret(line)):
                # systemd.exec(5): they are shown to unprivileged clients.
                raise InvalidValue(
                    'each line but secrets, which `systemctl show` would show'
                    " to everybody: put them into 'environment-vars'")
            lines_by_section.setdefault(section, []).append(line)
            continues = line.endswith('\\')
    return lines_by_section


def paths(value: str) -> list[str]:
    """Parse lines of paths; return the list."""
    return [line.strip() for line in value.split('\n') if line.strip()]
