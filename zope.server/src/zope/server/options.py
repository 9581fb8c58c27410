"""Options as rows: declared once, parsed strictly, listed for documents.

zope.server's rows are in `zope.server.settings`; zc.zkzopeserver has further
ones.
"""
from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from zope.server.values import InvalidValue
from zope.server.values import format_size
from zope.server.values import invalid_option
from zope.server.values import shorten
from zope.server.values import unknown_option

# The default of an option without which a section is refused.
REQUIRED = object()


class SettingsError(ValueError):
    """Settings that are wrong; `problems` has a sentence for each.

    It is a ValueError, as PasteDeploy rewrites a TypeError that a server
    runner raises.  A program that prints it exits with `exit_status`.
    """

    exit_status = 2

    def __init__(self, problems: list[str], where: str = '') -> None:
        self.problems = list(problems)
        self.where = where
        super().__init__('\n'.join(self.lines()))

    def lines(self) -> list[str]:
        """Return a line for each problem; `where` is at its beginning."""
        prefix = f'{self.where}: ' if self.where else ''
        return [prefix + problem for problem in self.problems]


@dataclasses.dataclass(frozen=True)
class Option:
    """A row: the declaration of one setting, and of its option in an ini.

    `parse` returns the value that a text stands for, or raises InvalidValue.
    `default` is the value of an option that is absent; REQUIRED: it must not
    be absent.  `default_label` is what documents show for the default, if
    that is not the default as text.
    """

    name: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    default_label: str = ''
    unit: str = ''

    @property
    def is_required(self) -> bool:
        """Whether a section without this option is refused."""
        return self.default is REQUIRED

    @property
    def default_text(self) -> str:
        """The default as documents show it."""
        if self.default_label:
            return self.default_label
        if self.is_required:
            return 'required'
        if self.default is None:
            return 'none'
        if self.default == '':
            return "''"
        if self.unit == 'bytes':
            return format_size(self.default)
        return as_text(self.default)

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value given in Python, None if right.

        A value is right if its text stands for it.
        """
        try:
            is_right = self.parse(as_text(value)) == value
        except InvalidValue as error:
            wrong = f'is not {error.allowed}'
        else:
            if is_right:
                return None
            wrong = f'is not of type {type(self.default).__name__}'
        return f'setting {self.name!r}: {shorten(value)} {wrong}'


def as_text(value: object) -> str:
    """Return the text that stands for a value in an ini."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # Without an exponent, and exact: float() returns the same value.
        return f'{value:.18f}'.rstrip('0').rstrip('.')
    return str(value)


def parse_texts(table: Mapping[str, Option], texts: Mapping[str, str],
                ) -> tuple[dict[str, Any], list[str]]:
    """Parse options by name; return (values of the right ones, problems).

    An empty text stands for the default where that is the empty text.
    """
    values: dict[str, Any] = {}
    problems = [unknown_option(name, table) for name in texts
                if name not in table]
    for name, option in table.items():
        if name not in texts or (
                option.default == '' and not texts[name].strip()):
            if option.is_required:
                problems.append(
                    f'option {name!r} is required: {option.meaning}')
            continue
        try:
            values[name] = option.parse(texts[name])
        except InvalidValue as error:
            problems.append(invalid_option(name, texts[name], error))
    return values, problems


def section_name(global_conf: Mapping[str, str] | None) -> str:
    """Return where a runner's options come from, '' if that is not known.

    `global_conf` is what PasteDeploy passes to a ``paste.server_runner``.
    """
    path = (global_conf or {}).get('__file__')
    return f'server section of {os.path.basename(path)}' if path else ''


def option_reference(options: Iterable[Option]) -> str:
    """Return what documents say of options: a definition list in reST."""
    entries = []
    for option in options:
        unit = f' ({option.unit})' if option.unit else ''
        default = option.default_text
        if default == 'none':
            default = 'optional'
        elif default != 'required':
            default = f'default {default}'
        meaning = textwrap.fill(
            option.meaning.replace('`', '``'), 75, initial_indent='    ',
            subsequent_indent='    ', break_long_words=False,
            break_on_hyphens=False)
        entries.append(f'``{option.name}``{unit}, {default}\n{meaning}\n')
    return '\n'.join(entries)
