"""Scripts, made by zc.recipe.egg."""
from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import zc.buildout
import zc.recipe.egg
from zc.buildout import easy_install

from zc.zkzopeserver.options import OptionsError

OURS = 'zc.zkzopeserver'
START = 'zc.zkzopeserver.start:main'
TREE = 'zc.zkzopeserver.parttree:main'

# What concerns single scripts; the rest of a section concerns all.
SINGLE = ('interpreter', 'scripts', 'entry-points', 'dependent-scripts',
          'arguments', 'initialization', 'relative-paths')


class Scripts:
    """The eggs of a part, and the scripts that use them.

    Scripts below `movable`, if it is not '', have relative paths.
    """

    def __init__(self, buildout: Any, name: str, section: Mapping[str, str],
                 eggs: Iterable[str], movable: str) -> None:
        self._buildout = buildout
        self._name = name
        self._movable = movable
        self._section = {key: value for key, value in section.items()
                         if key not in SINGLE}
        self._section['eggs'] = '\n'.join(eggs)

    def start(self, path: str, entry_point: str, arguments: str,
              initialization: str, interpreter: str = '') -> list[str]:
        """Write a script that calls the entry point; the paths written.

        `interpreter` is a script for Python itself to write beside it.
        """
        directory, name = os.path.split(path)
        # No egg has a console script of a name with this sign.
        key = f'{name}@{OURS}'
        extra = {'entry-points': f'{key}={entry_point}',
                 'scripts': f'{key}={name}', 'arguments': arguments,
                 'initialization': initialization}
        if interpreter:
            extra['interpreter'] = interpreter
        return self._install(directory, extra)

    def console_scripts(self, directory: str,
                        values: Mapping[str, Any]) -> list[str]:
        """Write the console scripts that a section asks for."""
        wanted = values['scripts'] or ' '.join(
            entry.partition('=')[0]
            for entry in values['entry-points'].split())
        if not wanted and values['dependent-scripts'] == 'false':
            return []
        extra = {'entry-points': values['entry-points'],
                 'dependent-scripts': values['dependent-scripts'],
                 'initialization': values['initialization']}
        if wanted:
            extra['scripts'] = wanted
        return self._install(directory, extra)

    def _install(self, directory: str, extra: dict[str, str]) -> list[str]:
        extra['relative-paths'] = str(bool(
            self._movable and os.path.commonpath([self._movable, directory])
            == self._movable)).lower()
        made = zc.recipe.egg.Scripts(self._buildout, self._name,
                                     {**self._section, **extra})
        made.options['bin-directory'] = directory
        with index_unless_offline(self._buildout):
            return list(made.install())


def distributions(uses: Iterable[str]) -> list[str]:
    """The distributions that ``egg:DIST#NAME`` names name."""
    return [match[1] for use in uses
            if (match := re.match(r'egg:([^#\s]+)', use))]


def requirements(listed: Iterable[str], uses: Iterable[str],
                 servers: Iterable[Mapping[str, str]],
                 is_daemon: bool) -> list[str]:
    """The eggs of a part: those listed, those used, and ours.

    Our extras follow from the options of the servers.
    """
    servers = list(servers)
    extras = [name for name, is_wanted in (
        ('daemon', is_daemon),
        ('monitor', any('monitor_server' in server for server in servers)),
        ('loggers', any('<' in server.get('loggers', '')
                        for server in servers))) if is_wanted]
    ours = OURS + (f'[{",".join(extras)}]' if extras else '')
    return list(dict.fromkeys([*listed, *distributions(uses), ours]))


def refuse(name: str, problems: Iterable[str]) -> None:
    """Raise one UserError for all the problems of a section, if any."""
    problems = list(dict.fromkeys(problems))
    if problems:
        raise zc.buildout.UserError(str(OptionsError(problems, f'[{name}]')))


@contextlib.contextmanager
def index_unless_offline(buildout: Any) -> Iterator[None]:
    """Where eggs are looked for: in an offline run, nowhere outside.

    For a distribution that is missing, buildout would ask the default index
    even then, and read through all of it.
    """
    if buildout['buildout'].get('offline') != 'true':
        yield
        return
    before = easy_install.default_index_url
    easy_install.default_index_url = f'file://{os.devnull}'
    try:
        yield
    finally:
        easy_install.default_index_url = before
