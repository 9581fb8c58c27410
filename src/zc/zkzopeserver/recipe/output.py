"""The files of a server, and the arguments of its start script."""
from __future__ import annotations

import getpass
import os
from collections.abc import Sequence

from zc.zk import redaction

from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import prelude
from zc.zkzopeserver.recipe import rotation
from zc.zkzopeserver.recipe import units
from zc.zkzopeserver.recipe.access import Kind
from zc.zkzopeserver.recipe.access import access
from zc.zkzopeserver.recipe.layout import Relocation
from zc.zkzopeserver.recipe.server import ServerInstance


class ServerFiles:
    """The files of a server, and what zc.recipe.egg needs for its script."""

    def __init__(self, server: ServerInstance, relocation: Relocation,
                 servers: Sequence[ServerInstance]) -> None:
        """`servers` are all servers of the part, which may share logs."""
        self._server = server
        self._servers = servers
        self._layout = server.layout
        self._relocation = relocation
        self.prelude = prelude.Prelude(
            self._layout.file(server.name, 'secrets.py'), relocation,
            server.values['environment-vars'],
            server.values['initialization'],
            server.values['arguments'] or '')
        self.script = self._layout.script(server.name)
        self.files = [*self._configuration(), *self._system()]

    def _configuration(self) -> list[files.File]:
        server = self._server
        made = [self._file(Kind.SERVER,
                           self._layout.file(server.name, 'ini'),
                           server.text, server.is_secret)]
        if credential := server.values['zookeeper-auth']:
            made.append(self._file(
                Kind.SECRETS, self._layout.file(server.name, 'auth'),
                credential + '\n'))
        if self.prelude.secrets:
            made.append(self._file(Kind.SECRETS, self.prelude.path,
                                   self.prelude.secrets))
        return made

    def _file(self, kind: Kind, path: str, text: str,
              has_secret: bool = False) -> files.File:
        allowed = access(kind, self._layout, has_secret)
        return files.File(path, text, allowed.mode, allowed.owner)

    def _system(self) -> list[files.File]:
        made: list[files.File] = []
        if where := self._server.values['systemd']:
            name = self._layout.full_name(self._server.name) + '.service'
            directory = (where if isinstance(where, str)
                         else self._layout.configuration)
            made.append(self._file(Kind.SYSTEM,
                                   os.path.join(directory, name),
                                   self._unit()))
        if wanted := self._server.values['logrotate']:
            text = self._rotation(wanted)
            made.append(self._file(
                Kind.SYSTEM, self._layout.rotation_file(self._server.name),
                text, redaction.mentions_secret(text)))
        return made

    def _unit(self) -> str:
        server = self._server
        user = self._layout.user or (
            '' if files.is_root() else getpass.getuser())
        return units.unit(
            self._layout.full_name(server.name), self.script, self._layout,
            user,
            {name: value for name, value in
             server.values['environment-vars'].items()
             if not redaction.is_secret(name, value)},
            server.parsed() if server.is_ours else None,
            [self._layout.run_file(server.name, 'pid'), *server.logs,
             *server.sockets],
            server.values['systemd-unit'])

    def _rotation(self, wanted: bool | str) -> str:
        """Return the configuration of logrotate.

        It leaves out the logs that a server before this one rotates, as
        logrotate refuses a log with two entries.
        """
        server = self._server
        before = self._servers[:self._servers.index(server)]
        known = {path for other in before if other.values['logrotate']
                 for path in other.logs}
        paths = [path for path in server.logs if path not in known]
        scripts = [self.script, *(
            self._layout.script(other.name) for other in self._servers
            if other is not server and set(other.logs) & set(paths))]
        user = self._layout.user
        return rotation.configuration(
            wanted, [*paths, self._layout.transcript(server.name)],
            scripts, user, self._layout.group() if user else '')

    @property
    def arguments(self) -> str:
        """The arguments of the call in the start script."""
        expression = self._relocation.expression
        ini = self._layout.file(self._server.name, 'ini')
        arguments = [expression(ini), repr(self._server.name)]
        if run := self._run():
            arguments.append('run={' + ', '.join(
                f'{name!r}: {value}' for name, value in run.items()) + '}')
        if self.prelude.arguments:
            arguments.append(self.prelude.arguments)
        return ', '.join(arguments)

    def _run(self) -> dict[str, str]:
        """Return the expressions of what the verbs of the script need."""
        name = self._server.name
        expressions = {}
        if self._layout.run:
            for key, path in (
                    ('pid', self._layout.run_file(name, 'pid')),
                    ('socket', self._layout.run_file(name, 'sock')),
                    ('transcript', self._layout.transcript(name))):
                expressions[key] = self._relocation.expression(path)
            expressions['user'] = repr(self._layout.user)
        if timeout := self._server.values['start-timeout']:
            expressions['start_timeout'] = repr(timeout)
        return expressions

    def tree_arguments(self, path: str) -> str:
        """Return the arguments of the call in the script for the tree."""
        expression = self._relocation.expression
        options = ', '.join(
            f'{name!r}: {expression(value)}'
            for name, value in self._server.options.items()
            if name.startswith('zookeeper') or name == 'path')
        return f'{expression(path)}, {{{options}}}'

    @property
    def initialization(self) -> str:
        """Python code that the start script runs before it imports."""
        header, folders = '', []
        if self._layout.run:
            header = prelude.LSB.format(
                name=self._layout.full_name(self._server.name))
            folders = [self._layout.run, self._layout.logs]
        return self.prelude.code(self._layout.user, folders, header=header)

    @property
    def interpreter_initialization(self) -> str:
        """Python code that the interpreter runs at its start."""
        return self.prelude.code(self._layout.user, is_required=False)
