"""The recipe `zc.zkzopeserver:follow`: a script that keeps a proxy's list.

A section becomes ``bin/NAME``, which calls zc.zk's ``zookeeper_follow`` with
its options, a unit of systemd, and the rest of the proxy's configuration if it
is in the section. The options have the names of those of the command, which
checks them itself while buildout runs.
"""
from __future__ import annotations

import os
import pprint
import shlex
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zc.zk import redaction
from zc.zk.scripts import zookeeper_follow
from zope.server.values import InvalidValue
from zope.server.values import boolean
from zope.server.values import invalid_option

from zc.zkzopeserver.recipe import eggs
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import layout
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import units
from zc.zkzopeserver.recipe.access import Kind
from zc.zkzopeserver.recipe.access import access
from zc.zkzopeserver.recipe.conflicts import claim
from zc.zkzopeserver.recipe.values import unit_lines

ENTRY_POINT = 'zc.zk.scripts.zookeeper_follow:main'

# Options of the command that the section gives one value, or one a line.
SINGLE = ('socket', 'check', 'reload', 'interval', 'splay', 'hold',
          'hold-after', 'resolve', 'options', 'listen', 'auth-file', 'ca',
          'cert', 'key', 'session-timeout')
FILES = 'auth-file', 'ca', 'cert', 'key'
# The file names that the proxies look for.
EXTENSIONS = {'nginx': 'conf', 'haproxy': 'cfg', 'traefik': 'yml'}
# The checks of a configuration that the section has, instead of the proxy's
# usual one.
CHECKS = {'haproxy': 'haproxy -c -f {configuration} -f {file}',
          'nginx': 'nginx -t -q -c {configuration}'}

OPTIONS = dict.fromkeys((
    'recipe', 'zookeeper', 'paths', 'format', 'output', 'where', 'allow-empty',
    'user', 'systemd-unit', 'configuration', 'configuration-file', 'eggs',
    'location', *SINGLE))


class Follower:
    """A part that writes a script and a unit for ``zookeeper_follow``.

    `zookeeper`, `paths` (one a line) and `format` are required. `output` is
    ``parts/NAME/NAME.EXT`` by default; `configuration` is a text that is
    written to `configuration-file`, by default ``parts/NAME/FORMAT.EXT``. The
    options ``output`` and ``configuration-file`` of the part, for other
    sections to refer to, are their paths.
    """

    def __init__(self, buildout: Any, name: str, options: Any) -> None:
        eggs.check_buildout()
        self.name = name
        directories = buildout['buildout']
        self.layout = layout.plain(directories['directory'],
                                   directories['parts-directory'],
                                   directories['bin-directory'], name)
        # Options of other names are not read, so that buildout warns of them.
        given = {key: options[key] for key in options if key in OPTIONS}
        problems = section.near_misses(options.keys(), OPTIONS)
        missing = [f"option {key!r} is required"
                   for key in ('zookeeper', 'paths', 'format')
                   if not given.get(key, '').strip()]
        if missing:
            eggs.refuse(name, problems + missing)
        kind = given['format'].strip()
        extension = EXTENSIONS.get(kind, 'json')
        self.output = self._path(given.get('output') or self.layout.path(
            f'{name}.{extension}'))
        options['location'] = self.layout.configuration
        options['output'] = self.output
        self.configuration = None
        if given.get('configuration', '').strip():
            self.configuration = self._configuration(
                given, f'{kind}.{extension}')
            options['configuration-file'] = self.configuration.path
            if kind in CHECKS:
                given.setdefault('check', CHECKS[kind].replace(
                    '{configuration}', shlex.quote(self.configuration.path)))
        try:
            allow_empty = boolean(given.get('allow-empty') or 'false')
        except InvalidValue as error:
            allow_empty = False
            problems.append(invalid_option('allow-empty',
                                           given['allow-empty'], error))
        self.arguments = list(self._arguments(given, kind))
        if allow_empty:
            self.arguments.append('--allow-empty')
        problems += zookeeper_follow.problems(self.arguments)
        try:
            more = unit_lines(given.get('systemd-unit', ''))
        except ValueError as error:
            more = {}
            problems.append(f"option 'systemd-unit': {error}")
        self.script = self.layout.script(name)
        self.unit = files.File(
            self.layout.file(name, 'service'),
            units.follower(f'zookeeper_follow of {name}', self.script,
                           given.get('user', '').strip(), [self.output],
                           more),
            access(Kind.SYSTEM, self.layout).mode)
        self.scripts = eggs.Scripts(
            buildout, name, given,
            ['zc.zk', *given.get('eggs', '').split()], '')
        eggs.refuse(name, [*problems, *claim(name, [
            self.script, self.output, *self._written()])])

    def _written(self) -> list[str]:
        """Return the paths of the files that `install` writes as they are."""
        return [each.path for each in (self.unit, self.configuration) if each]

    def _configuration(self, given: Mapping[str, str],
                       name: str) -> files.File:
        path = self._path(given.get('configuration-file')
                          or self.layout.path(name))
        # HAProxy refuses a file whose last line has no end.
        text = given['configuration'].strip('\n') + '\n'
        is_secret = redaction.redact_text(text) != text
        return files.File(path, text, access(
            Kind.SYSTEM, self.layout, is_secret).mode)

    def _path(self, value: str) -> str:
        return os.path.join(self.layout.buildout, value.strip())

    def _arguments(self, given: Mapping[str, str],
                   kind: str) -> Iterator[str]:
        yield given['zookeeper'].strip()
        yield from given['paths'].split()
        yield from ('--format', kind, '--output', self.output)
        for name in SINGLE:
            if value := given.get(name, '').strip():
                if name in FILES:
                    value = self._path(value)
                # In one word: a value may begin with a minus sign.
                yield f'--{name}={value}'
        for line in given.get('where', '').splitlines():
            if line.strip():
                yield f'--where={line.strip()}'

    def install(self) -> list[str]:
        """Write the files that are wrong; return the paths of all.

        The file of the list is the running command's, and not ours: it stays
        when the part goes.
        """
        try:
            with files.FileTransaction() as transaction:
                transaction.make_directory(os.path.dirname(self.output))
                transaction.make_way(self.script, None)
                written = self.scripts.start(
                    self.script, ENTRY_POINT,
                    pprint.pformat(self.arguments) + ' + sys.argv[1:]', '')
                transaction.write(self.unit)
                if self.configuration:
                    transaction.make_directory(
                        os.path.dirname(self.configuration.path))
                    transaction.write(self.configuration)
        except OSError as error:
            eggs.refuse(self.name, [f'{error.filename}: {error.strerror}'])
            raise
        return [*written, *self._written()]

    update = install
