"""One server of a part: its options, and its ini."""
from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping

from zc.zk import redaction

from zc.zkzopeserver import options as server_options
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import ini
from zc.zkzopeserver.recipe import rotation
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe.layout import Layout
from zc.zkzopeserver.recipe.layout import Relocation

OURS = 'egg:zc.zkzopeserver'

# Options with paths, relative to the buildout, or to `Layout.logs`.
PATHS = ('zookeeper_auth_file', 'zookeeper_ca', 'zookeeper_cert',
         'zookeeper_key')
LOGS = ('access_log',)

Filters = list[tuple[str, dict[str, str]]]


class ServerInstance:
    """A server of a part, named `name`, with the options `raw`.

    `problems` has a sentence for each problem.  `text` is the ini, '' if
    there are problems.
    """

    def __init__(self, name: str, raw: Mapping[str, str], layout: Layout,
                 relocation: Relocation,
                 sections: Mapping[str, Mapping[str, str]]) -> None:
        self.name = name
        self.layout = layout
        self.values, self.problems = section.check(raw)
        self.given = section.server_options_of(raw)
        self.filters = self._filters(sections)
        self._auth_file()
        self.options = dict(self._server())
        self.text = ''
        self.problems += self._check(raw)
        if not self.problems:
            self._render(relocation)

    @property
    def is_ours(self) -> bool:
        """Whether the server is zc.zkzopeserver."""
        return not self.values['use-server']

    @property
    def is_daemon(self) -> bool:
        """Whether the start script needs zdaemon.

        By default it does unless systemd runs the server.
        """
        wanted = self.values['daemon']
        return not self.values['systemd'] if wanted is None else wanted

    @property
    def is_secret(self) -> bool:
        """Whether the ini holds a secret."""
        # In the values, as the text has them escaped.
        own = self.values['ini'] or ''
        return redaction.redact_text(own) != own or any(
            redaction.has_secret(values) for _, values in self.sections())

    @property
    def logs(self) -> list[str]:
        """The log files that the options name."""
        paths = rotation.logs(self.options.get('loggers', ''))
        access_log = self.options.get('access_log', '').strip()
        if access_log and access_log != '-':
            paths.insert(0, access_log)
        return list(dict.fromkeys(paths))

    @property
    def sockets(self) -> list[str]:
        """The unix sockets that the options name."""
        path = self.options.get('monitor_server', '').strip()
        return [path] if self.is_ours and '/' in path else []

    @property
    def uses(self) -> list[str]:
        """The factories that the ini names."""
        return [use for use in (self.values['app'], self.values['use-server'],
                                *(values['use'] for _, values in
                                  self.filters)) if use]

    def parsed(self) -> server_options.Options:
        """Return the options of zc.zkzopeserver as the server gets them."""
        return server_options.Options(server_options.check(self.options)[0])

    def sections(self) -> list[ini.Section]:
        """Return the sections of the ini, the server's last."""
        shared = self.values['global-options']
        return [*([('DEFAULT', shared)] if shared else []),
                *self._application(),
                ('server:main', {'use': self.values['use-server'] or OURS,
                                 **self.options})]

    def _application(self) -> Iterator[ini.Section]:
        if not self.values['app']:
            return
        own = {'use': self.values['app'], **self.values['app-options']}
        if not self.filters:
            yield 'app:main', own
            return
        names = [name for name, _ in self.filters]
        yield 'pipeline:main', {'pipeline': ' '.join([*names, 'app'])}
        for name, values in self.filters:
            yield f'filter:{name}', values
        yield 'app:app', own

    def _filters(self, sections: Mapping[str, Mapping[str, str]]) -> Filters:
        filters: Filters = []
        for use, name in self.values['filters']:
            if name and name not in sections:
                self.problems.append(f"option 'filters': {name!r} is neither"
                                     ' egg:DIST#NAME nor a section of the'
                                     ' buildout')
                continue
            values = dict(sections[name]) if name else {}
            if use or 'use' not in values:
                if not use or 'use' in values:
                    self.problems.append(
                        f"option 'filters': the factory of {name!r} stands"
                        f" either before it or in [{name}] as 'use'")
                    continue
                values = {'use': use, **values}
            name = name or use.partition('#')[2] or 'main'
            filters.append((self._unused(name, filters), values))
        return filters

    @staticmethod
    def _unused(name: str, filters: Filters) -> str:
        taken = [other for other, _ in filters]
        number, base = 1, name
        while name in taken:
            number += 1
            name = f'{base}-{number}'
        return name

    def _auth_file(self) -> None:
        """Set the server's option to the file that `zookeeper-auth` makes."""
        if not self.values['zookeeper-auth']:
            return
        if 'zookeeper_auth_file' in self.given:
            self.problems.append("options 'zookeeper-auth' and"
                                 " 'zookeeper_auth_file' exclude each other")
        self.given['zookeeper_auth_file'] = self.layout.file(self.name,
                                                             'auth')

    def _server(self) -> Iterator[tuple[str, str]]:
        if not self.is_ours:
            yield from self.values['server-options'].items()
            return
        for name, value in self.given.items():
            path = value.strip()
            if name in PATHS and path:
                value = os.path.join(self.layout.buildout, path)
            elif name in LOGS and path and path != '-':
                value = os.path.join(self.layout.logs, path)
            elif name == 'loggers':
                value = rotation.with_directory(value, self.layout.logs)
            elif name == 'monitor_server' and '/' in path:
                value = os.path.normpath(os.path.join(
                    self.layout.run or self.layout.buildout, path))
            yield name, value

    def _check(self, raw: Mapping[str, str]) -> Iterator[str]:
        yield from self._check_application(raw)
        if self.is_ours:
            yield from server_options.check(self.options)[1]
            if 'server-options' in raw:
                yield "option 'server-options' goes with 'use-server'"
        elif self.given:
            names = ', '.join(map(repr, self.given))
            yield (f"with 'use-server', the options of that server stand in"
                   f" 'server-options'; of ours there is {names}")
        for pairs in 'app-options', 'server-options':
            if 'use' in self.values[pairs]:
                yield f"option {pairs!r} takes no 'use'"
        for name, values in self.sections():
            for key, value in values.items():
                if problem := ini.unwritable(key, value):
                    yield f'option {key!r} of [{name}] has {problem}'
        if '\r' in (self.values['ini'] or ''):
            yield ("option 'ini' has a carriage return, which an ini cannot"
                   ' hold')

    def _check_application(self, raw: Mapping[str, str]) -> Iterator[str]:
        if 'app' in raw and 'ini' in raw:
            yield "options 'app' and 'ini' exclude each other"
        elif 'app' not in raw and 'ini' not in raw:
            yield (f"option 'app' is required:"
                   f" {section.BY_NAME['app'].meaning} (or 'ini', with the"
                   ' application sections themselves)')
        for name in 'app-options', 'filters':
            if 'ini' in raw and name in raw:
                yield (f"option {name!r} goes with 'app'; with 'ini' they"
                       ' stand there')

    def _render(self, relocation: Relocation) -> None:
        here = self.layout.configuration
        sections = self.sections()
        self.text = relocation.in_ini(
            ini.render(sections, self.values['ini'] or ''), here)
        if files.has_text(self.layout.file(self.name, 'ini'), self.text):
            return  # PasteDeploy has read this text before it was written.
        self.problems += ini.problems(self.text, here, [
            (name, {key: relocation.read_back(value, here)
                    for key, value in values.items()})
            for name, values in sections])
