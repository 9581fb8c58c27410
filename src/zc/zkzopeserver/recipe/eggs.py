"""Scripts, made by zc.recipe.egg."""
from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import zc.recipe.egg

OURS = 'zc.zkzopeserver'
START = 'zc.zkzopeserver.start:main'


class Scripts:
    """The eggs of a part, and the scripts that use them."""

    def __init__(self, buildout: Any, name: str, section: Mapping[str, str],
                 eggs: Iterable[str]) -> None:
        self._buildout = buildout
        self._name = name
        self._section = dict(section)
        self._section['eggs'] = '\n'.join(eggs)

    def write(self, directory: str, script: str, entry_point: str,
              arguments: str, initialization: str = '') -> list[str]:
        """Write a script that calls the entry point; the paths written."""
        # No egg has a console script with a blank-free name like this one.
        key = f'{script}@{OURS}'
        return self._install({
            'entry-points': f'{key}={entry_point}',
            'scripts': f'{key}={script}',
            'arguments': arguments,
            'initialization': initialization,
        }, directory)

    def _install(self, extra: Mapping[str, str], directory: str) -> list[str]:
        section = {name: value for name, value in self._section.items()
                   if name not in ('interpreter', 'scripts', 'entry-points',
                                   'dependent-scripts', 'arguments',
                                   'initialization')}
        egg = zc.recipe.egg.Scripts(self._buildout, self._name,
                                    {**section, **extra})
        egg.options['bin-directory'] = directory
        return list(egg.install())


def distributions(uses: Iterable[str]) -> list[str]:
    """The distributions that ``egg:DIST#NAME`` names name."""
    return [match[1] for use in uses
            if (match := re.match(r'egg:([^#\s]+)', use))]


def requirements(listed: str, uses: Iterable[str],
                 server: Mapping[str, str]) -> list[str]:
    """The eggs of a part: those listed, those used, and ours.

    Our extras follow from the options of the server.
    """
    extras = [name for name, wanted in (
        ('monitor', 'monitor_server' in server),
        ('loggers', '<' in server.get('loggers', ''))) if wanted]
    ours = OURS + (f'[{",".join(extras)}]' if extras else '')
    wanted = [line.strip() for line in listed.split('\n') if line.strip()]
    wanted += distributions(uses)
    return list(dict.fromkeys([*wanted, ours]))
