"""The recipe `zc.zkzopeserver`: a section of a buildout becomes a server."""
from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from zc.zk import redaction

from zc.zkzopeserver.recipe import eggs
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import layout
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import trees
from zc.zkzopeserver.recipe.eggs import refuse
from zc.zkzopeserver.recipe.layout import Relocation
from zc.zkzopeserver.recipe.output import ServerFiles
from zc.zkzopeserver.recipe.server import ServerInstance

# What replaces a secret in .installed.cfg.
NOT_KEPT = '(not kept here)'

# Path -> name of the part that writes it in this run of buildout.
_claimed: dict[str, str] = {}


class Recipe:
    """The part that a section asks for.

    The constructor reads and checks all options.  It raises one UserError for
    all problems.  `install` and `update` write what is missing or different.
    """

    def __init__(self, buildout: Any, name: str, options: Any) -> None:
        self.buildout = buildout
        self.name = name
        self.raw = section.known_options(options)
        self.values, _ = section.check(section.options_of(self.raw, ''))
        problems = section.misspelled(options.keys(), self.values['instances'])
        problems += section.name_problems(name)
        self.layout = self._layout(problems)
        movable = self._movable()
        relocation = Relocation(movable)
        self.servers = [
            ServerInstance(each, section.options_of(self.raw, each),
                           self.layout, relocation, buildout)
            for each in self.values['instances'] or [name]]
        problems += problems_of(self.servers)
        problems += address_conflicts(self.servers)
        self.tree = self._tree(problems)
        refuse(name, problems)
        self.scripts = eggs.Scripts(
            buildout, name, self.raw, self._requirements(), movable)
        self.outputs = [ServerFiles(server, relocation, self.servers)
                        for server in self.servers]
        refuse(name, claim(name, self._paths()))
        self._publish(options)

    def _layout(self, problems: list[str]) -> layout.Layout:
        directories = self.buildout['buildout']
        plain = layout.plain(
            directories['directory'], directories['parts-directory'],
            directories['bin-directory'], self.name)
        deployment = self.values['deployment']
        if not deployment:
            return plain
        if deployment not in self.buildout:
            problems.append(f"option 'deployment': {deployment!r} is not a"
                            ' section of the buildout')
            return plain
        found = self.buildout[deployment]
        wrong = layout.deployment_problems(found, deployment)
        problems += wrong
        return plain if wrong else layout.deployed(plain.buildout, found,
                                                   deployment)

    def _movable(self) -> str:
        """Return the buildout's directory if it can be moved, else ''."""
        wanted = self.values['relative-paths'] or self.buildout[
            'buildout'].get('relative-paths', 'false')
        directory = self.layout.buildout
        # A script outside of the buildout cannot find it by a relative path.
        inside = all(
            os.path.commonpath([directory, path]) == directory for path in (
                self.layout.configuration, self.layout.scripts,
                self.buildout['buildout']['bin-directory']))
        return directory if wanted == 'true' and inside else ''

    def _tree(self, problems: list[str]) -> str:
        if not self.values['tree']:
            return ''
        text, wrong = trees.read(self.values['tree'], self.layout.buildout)
        problems += wrong
        return text

    def _requirements(self) -> list[str]:
        return eggs.requirements(
            self.values['eggs'],
            [use for server in self.servers for use in server.uses],
            [server.given for server in self.servers],
            any(server.is_daemon for server in self.servers))

    def _publish(self, options: Any) -> None:
        """Set the options for other sections, and redact secret ones.

        buildout writes the options of a part to ``.installed.cfg``, which
        every user can read.  It does not see a change of a redacted option,
        and calls `update`, which writes what is different.
        """
        options['location'] = self.layout.configuration
        options['ini-file'] = self.layout.file(self.servers[0].name, 'ini')
        options['script-file'] = self.layout.script(self.servers[0].name)
        for name, value in self.raw.items():
            if name.endswith('zookeeper-auth'):
                options[name] = NOT_KEPT
            elif (kept := redaction.redact_text(value, NOT_KEPT)) != value:
                options[name] = kept

    def _paths(self) -> Iterator[str]:
        for output in self.outputs:
            yield output.script
            yield from (file.path for file in output.files)
        if self.tree:
            yield self._tree_path
            yield self._tree_script

    @property
    def _tree_path(self) -> str:
        return self.layout.file(self.name, 'tree.txt'
                                ) if self.layout.run else self.layout.path(
                                    'tree.txt')

    @property
    def _tree_script(self) -> str:
        return os.path.join(self.buildout['buildout']['bin-directory'],
                            self.name + '-tree')

    def install(self) -> list[str]:
        """Write what is missing or different; return all paths."""
        try:
            return self._install()
        except OSError as error:
            refuse(self.name, [f'{error.filename}: {error.strerror}'])
            raise

    update = install

    def _install(self) -> list[str]:
        with files.FileTransaction() as transaction:
            written = list(self._write_scripts(transaction))
            for output in self.outputs:
                transaction.write(*output.files)
                written += [file.path for file in output.files]
            if self.tree:
                transaction.write(files.File(self._tree_path, self.tree))
                written.append(self._tree_path)
            if transaction.changed and self.values['on-change']:
                self._run(self.values['on-change'])
        return list(dict.fromkeys(written))

    def _write_scripts(self, transaction: files.FileTransaction,
                       ) -> Iterator[str]:
        interpreter = self.values['interpreter'] or ''
        for output in self.outputs:
            transaction.remember(output.script)
            transaction.make_directory(self.layout.scripts)
            yield from self.scripts.start(
                output.script, eggs.START, output.arguments,
                output.initialization, interpreter)
            transaction.restrict(output.script, output.script_mode,
                                 output.owner)
            transaction.note_changes([output.script])
            interpreter = ''
        if self.tree and self.servers[0].is_ours:
            transaction.remember(self._tree_script)
            yield from self.scripts.start(
                self._tree_script, eggs.TREE,
                self.outputs[0].tree_arguments(self._tree_path), '')
            transaction.note_changes([self._tree_script])
        yield from self.scripts.console_scripts(
            self.buildout['buildout']['bin-directory'], self.values)

    def _run(self, command: str) -> None:
        done = subprocess.run(command, shell=True, check=False,
                              cwd=self.layout.buildout)
        if done.returncode:
            refuse(self.name, [
                f"option 'on-change': {command!r} ended with exit status"
                f' {done.returncode}; the files are as they were before'])


def claim(name: str, paths: Iterable[str]) -> Iterator[str]:
    """Note the paths that a part writes.

    Yield a problem for each path that another part writes.
    """
    for path in paths:
        other = _claimed.setdefault(path, name)
        if other != name:
            yield f'the part {other!r} writes {path} too'


def problems_of(servers: list[ServerInstance]) -> Iterator[str]:
    """Yield the problems of all servers; once if all have the same."""
    everywhere = set.intersection(*(set(server.problems)
                                    for server in servers))
    for server in servers:
        for problem in server.problems:
            yield (problem if problem in everywhere
                   else f'instance {server.name!r}: {problem}')


def address_conflicts(servers: list[ServerInstance]) -> Iterator[str]:
    """Yield a problem for each address of two instances."""
    for name in 'port', 'monitor_server':
        seen: dict[tuple[str, ...], str] = {}
        for server in servers:
            value = server.options.get(name, '').strip()
            if not value or value.rpartition(':')[2] == '0':
                continue
            key = server.options.get('host', '').strip(), value
            other = seen.setdefault(key, server.name)
            if other != server.name:
                yield (f'instances {other!r} and {server.name!r} have the'
                       f' same {name!r}, {value}')


def uninstall(name: str, options: Any) -> None:
    """Remove the files of a part, and its directory if that is empty.

    buildout uninstalls a part with changed options before it installs it
    again.  Files that the new part writes stay, so that a server can start at
    any moment and a file that stays the same is not touched.
    """
    installed = options['__buildout_installed__'].split('\n')
    files.remove(path for path in installed if path not in _claimed)
    files.remove_empty(options['location'])
    # buildout removes what this option lists after the return.
    options['__buildout_installed__'] = ''
