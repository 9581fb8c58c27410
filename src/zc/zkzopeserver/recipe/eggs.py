"""Make the scripts of a part by zc.recipe.egg; refuse parts by zc.buildout."""
from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import zc.buildout
from pkg_resources import Requirement
from zc.buildout import easy_install
from zc.buildout.buildout import _install_and_load

from zc.zkzopeserver.options import OptionsError

OURS = 'zc.zkzopeserver'
EGG_RECIPE = 'zc.recipe.egg'
START = 'zc.zkzopeserver.start:main'
TREE = 'zc.zkzopeserver.parttree:main'

# Before, zc.buildout was no PEP 420 namespace package, and had another way to
# find distributions.  (A requirement in our metadata would put it, and what it
# requires, into each server's path.)
OLDEST_BUILDOUT = 5, 1

# Options that concern one script; the others of a section concern all.
SINGLE = ('interpreter', 'scripts', 'entry-points', 'dependent-scripts',
          'arguments', 'initialization', 'relative-paths')


class Scripts:
    """The eggs of a part, and the scripts that use them.

    Scripts in the directory `movable` get relative paths; '' means none do.
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
              initialization: str) -> list[str]:
        """Write a script that calls the entry point.

        Return the paths written.
        """
        directory, name = os.path.split(path)
        # No console script has a name with an @.
        key = f'{name}@{OURS}'
        extra = {'entry-points': f'{key}={entry_point}',
                 'scripts': f'{key}={name}', 'arguments': arguments,
                 'initialization': initialization}
        return self._install(directory, extra)

    def interpreter(self, path: str, initialization: str) -> list[str]:
        """Write a Python interpreter with the eggs.

        Return the paths written.
        """
        directory, name = os.path.split(path)
        with self._made(directory, {}) as made:
            # zc.recipe.egg makes an interpreter only beside scripts.
            return list(easy_install.scripts(
                [], made.working_set()[1], sys.executable, directory,
                extra_paths=made.extra_paths, interpreter=name,
                initialization=initialization,
                relative_paths=made._relative_paths))

    def paths(self) -> list[str]:
        """Return the interpreter of scripts, and where it finds modules."""
        with self._made('', {}) as made:
            _, found = made.working_set()
        return [sys.executable, sysconfig.get_path('stdlib'),
                *site.getsitepackages(), *(each.location for each in found),
                *made.extra_paths]

    def console_scripts(self, directory: str, values: Mapping[str, Any],
                        initialization: str) -> list[str]:
        """Write the console scripts that a section asks for.

        Return the paths written.
        """
        wanted = values['scripts'] or ' '.join(
            entry.partition('=')[0]
            for entry in values['entry-points'].split())
        if not wanted and values['dependent-scripts'] == 'false':
            return []
        extra = {'entry-points': values['entry-points'],
                 'dependent-scripts': values['dependent-scripts'],
                 'initialization': initialization}
        if wanted:
            extra['scripts'] = wanted
        return self._install(directory, extra)

    def _install(self, directory: str, extra: dict[str, str]) -> list[str]:
        with self._made(directory, extra) as made:
            refuse(self._name, left_out(made))
            return list(made.install())

    @contextlib.contextmanager
    def _made(self, directory: str, extra: dict[str, str]) -> Iterator[Any]:
        """Yield zc.recipe.egg's recipe for scripts in a directory."""
        is_movable = bool(
            self._movable and os.path.commonpath([self._movable, directory])
            == self._movable) if directory else False
        with index_unless_offline(self._buildout):
            made = egg_recipe(self._buildout)(
                self._buildout, self._name,
                {**self._section, **extra,
                 'relative-paths': str(is_movable).lower()})
            made.options['bin-directory'] = directory
            yield made


def check_buildout(version: str = '') -> None:
    """Raise UserError for a zc.buildout that is too old.

    `version` is that of the one that runs, if it is not given.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        version = version or importlib.metadata.version('zc.buildout')
    numbers = [int(each) for each in re.findall(r'\d+', version)[:2]]
    if numbers and tuple(numbers) < OLDEST_BUILDOUT:
        raise zc.buildout.UserError(
            f'zc.zkzopeserver needs zc.buildout >= 5.1, and this is {version}')


def egg_recipe(buildout: Any) -> Any:
    """Return `zc.recipe.egg:Scripts`, installed as buildout installs recipes.

    It is no requirement of ours: with it, zc.buildout and its own five
    requirements would be in each server's path, and resolved for each part.
    (An extra would not do: buildout loads a recipe without extras.)
    """
    return _install_and_load(EGG_RECIPE, 'zc.buildout', 'default', buildout)


def distributions(uses: Iterable[str]) -> list[str]:
    """Return DIST of each factory that is ``egg:DIST#NAME``."""
    return [match[1] for use in uses
            if (match := re.match(r'egg:([^#\s]+)', use))]


def requirements(listed: Iterable[str], uses: Iterable[str],
                 servers: Iterable[Mapping[str, str]],
                 is_daemon: bool) -> list[str]:
    """Return the eggs of a part: `listed`, those of `uses`, and ours.

    `uses` are factories such as ``egg:DIST#NAME``.  Our extras follow from
    the options of the servers.

    No requirement has two extras.  zc.buildout resolves the extras of one in
    the order of a set, so that the order of ``sys.path`` in the scripts would
    change from run to run.
    """
    servers = list(servers)
    extras = [name for name, is_wanted in (
        ('daemon', is_daemon),
        ('monitor', any('monitor_server' in server for server in servers)),
        ('loggers', any('<' in server.get('loggers', '')
                        for server in servers))) if is_wanted]
    ours = [f'{OURS}[{extra}]' for extra in extras] or [OURS]
    return list(dict.fromkeys(
        each for egg in (*listed, *distributions(uses), *ours)
        for each in one_extra_each(egg)))


def one_extra_each(egg: str) -> list[str]:
    """Return a requirement of several extras as one for each, sorted."""
    match = re.fullmatch(r'([^\[\]]+)\[([^\]]*,[^\]]*)\](.*)', egg)
    if not match:
        return [egg]
    name, extras, rest = match.groups()
    return [f'{name}[{extra.strip()}]{rest}'
            for extra in sorted(extras.split(',')) if extra.strip()]


def left_out(scripts: Any) -> list[str]:
    """Return a problem if develop eggs would be missing in the scripts.

    A develop egg has two entries in the develop-eggs directory, an
    ``.egg-link`` with the path of its sources and a ``.dist-info``.
    zc.buildout 6.0.1 takes the one with the larger path.  Where that is a
    ``.dist-info``, other develop eggs are looked for in that directory, too,
    and scripts do not get the paths of their sources.
    """
    directory = scripts.options['develop-eggs-directory']
    sources = dict(_develop_eggs(directory))
    if not any(source < directory for source in sources.values()):
        return []
    required, found = scripts.working_set()
    paths = {each.location for each in found}
    needed = _closure(required, found)
    names = [name for name, source in sources.items()
             if _normalized(name) in needed and source not in paths]
    if not names:
        return []
    first = min(sources.values())
    other = os.path.join(os.path.dirname(directory), '.develop-eggs')
    if other > first:
        other = os.path.join(os.path.dirname(first), '.develop-eggs')
    return [f'zc.buildout would leave {", ".join(names)} out of the scripts,'
            f' as a folder of `develop` sorts before {directory}; let'
            " 'develop-eggs-directory' of [buildout] be a path that sorts"
            f' before all of them, such as {other}']


def _develop_eggs(directory: str) -> Iterator[tuple[str, str]]:
    """Yield (name, path of the sources) of those with a ``.dist-info``."""
    entries = sorted(os.listdir(directory))
    infos = [_normalized(entry.partition('-')[0]) for entry in entries
             if entry.endswith('.dist-info')]
    for entry in entries:
        name, kind = os.path.splitext(entry)
        if kind == '.egg-link' and _normalized(name) in infos:
            with open(os.path.join(directory, entry),
                      encoding='utf-8') as link:
                yield name, link.readline().strip()


def _closure(required: Iterable[str], found: Iterable[Any]) -> set[str]:
    """Return the names of all that is required in the end, normalized."""
    by_name = {_normalized(each.project_name): each for each in found}
    waiting = [Requirement.parse(each) for each in required]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        distribution = by_name.get(_normalized(requirement.project_name))
        if distribution and requirement not in seen:
            seen.add(requirement)
            waiting += distribution.requires(requirement.extras)
    return {_normalized(each.project_name) for each in seen}


def _normalized(name: str) -> str:
    """Return the name of a distribution as PEP 503 normalizes it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def refuse(name: str, problems: Iterable[str]) -> None:
    """Raise one UserError with all problems of a section, if there are any."""
    problems = list(dict.fromkeys(problems))
    if problems:
        raise zc.buildout.UserError(str(OptionsError(problems, f'[{name}]')))


@contextlib.contextmanager
def index_unless_offline(buildout: Any) -> Iterator[None]:
    """Keep zc.buildout from asking an index in an offline run.

    For a missing distribution it would ask the default index even then, and
    read the whole list of that index.
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
