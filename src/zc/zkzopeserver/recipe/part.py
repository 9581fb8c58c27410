"""The recipe `zc.zkzopeserver`: a section of a buildout becomes a server."""
from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from zc.zk import redaction

from zc.zkzopeserver import directories
from zc.zkzopeserver.recipe import conflicts
from zc.zkzopeserver.recipe import eggs
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import layout
from zc.zkzopeserver.recipe import prelude
from zc.zkzopeserver.recipe import removal
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import trees
from zc.zkzopeserver.recipe.access import Kind
from zc.zkzopeserver.recipe.access import access
from zc.zkzopeserver.recipe.eggs import refuse
from zc.zkzopeserver.recipe.layout import Relocation
from zc.zkzopeserver.recipe.output import ServerFiles
from zc.zkzopeserver.recipe.server import ServerInstance

# What replaces a secret in .installed.cfg.
NOT_KEPT = '(not kept here)'

# Options that are code or commands, see `redaction.mentions_secret`.
CODE = 'initialization', 'arguments', 'on-change', 'logrotate'

# What .installed.cfg says where buildout has installed nothing.
NOTHING_INSTALLED = '[buildout]\nparts =\n'


class Recipe:
    """The part that a section asks for.

    The constructor reads and checks all options.  It raises one UserError for
    all problems.  `install` and `update` write what is missing or different.
    """

    def __init__(self, buildout: Any, name: str, options: Any) -> None:
        eggs.check_buildout()
        self.buildout = buildout
        self.name = name
        self.raw = section.known_options(options)
        self.values, _ = section.check(section.options_of(self.raw, ''))
        problems = section.misspelled(options.keys(), self.values['instances'])
        problems += section.name_problems(name)
        self.layout = self._layout(problems)
        movable = self._movable()
        self.relocation = Relocation(movable)
        self.servers = [
            ServerInstance(each, section.options_of(self.raw, each),
                           self.layout, self.relocation, buildout)
            for each in self.values['instances'] or [name]]
        problems += problems_of(self.servers)
        self.tree = self._tree(problems)
        if not problems:
            problems += conflicts.shared(name, self.servers)
        refuse(name, problems)
        self.scripts = eggs.Scripts(
            buildout, name, self.raw, self._requirements(), movable)
        self.outputs = [ServerFiles(server, self.relocation, self.servers)
                        for server in self.servers]
        refuse(name, conflicts.claim(name, self._paths()))
        self.has_secret = False
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

        buildout writes the options of a part to ``.installed.cfg``.  It does
        not see a change of a redacted option, and calls `update`, which
        writes what is different.  Options that are not the recipe's are for
        other sections to refer to, and cannot be redacted: with a secret in
        one of them, others cannot read the file.
        """
        options['location'] = self.layout.configuration
        options['ini-file'] = self.layout.file(self.servers[0].name, 'ini')
        options['script-file'] = self.layout.script(self.servers[0].name)
        scripts, pids = removal.RUNNING
        options[scripts] = '\n'.join(output.script
                                     for output in self.outputs)
        options[pids] = '\n'.join(self.layout.run_file(server.name, 'pid')
                                  for server in self.servers)
        for name, value in self.raw.items():
            if (kept := _kept(name, value)) != value:
                options[name] = kept
                self.has_secret = True
        # `copy` does not count as a use of options that nothing reads.
        self.has_secret = self.has_secret or redaction.has_secret(
            options.copy())
        if self.has_secret:
            files.keep_private(self.buildout['buildout']['installed'],
                               NOTHING_INSTALLED)

    def _paths(self) -> Iterator[str]:
        for output in self.outputs:
            yield output.script
        yield from (file.path for file in self._files())
        if self.tree:
            yield self._tree_script
        if name := self.values['interpreter']:
            yield os.path.join(
                self.buildout['buildout']['bin-directory'], name)

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
        refuse(self.name, self._changeable())
        with files.FileTransaction() as transaction:
            written = list(self._write_scripts(transaction))
            for file in self._files():
                transaction.write(file)
                written.append(file.path)
            if transaction.changed and self.values['on-change']:
                self._run(self.values['on-change'])
        return list(dict.fromkeys(written))

    def _files(self) -> Iterator[files.File]:
        """Yield the files that zc.recipe.egg does not write."""
        for output in self.outputs:
            yield from output.files
        if self.tree:
            yield self._file(Kind.OPERATOR, self._tree_path, self.tree,
                             redaction.redact_text(self.tree) != self.tree)
        if self._console.secrets:
            yield self._file(Kind.SECRETS, self._console.path,
                             self._console.secrets)

    def _file(self, kind: Kind, path: str, text: str,
              has_secret: bool = False) -> files.File:
        allowed = access(kind, self.layout, has_secret)
        return files.File(path, text, allowed.mode, allowed.owner)

    def _changeable(self) -> Iterator[str]:
        """Yield a problem for what root relies on and the user can change.

        Nobody else is asked to trust the user that runs buildout.
        """
        user = self.layout.user
        if not user or not files.is_root():
            return
        relied_on = [self.layout.buildout, self.layout.scripts,
                     self.buildout['buildout']['bin-directory'],
                     *(os.path.dirname(file.path) for output in self.outputs
                       for file in output.files), *self.scripts.paths()]
        found = {path: '' for each in relied_on
                 if (path := directories.changeable(each, user))}
        for path in found:
            yield (f'the user {user!r} of the deployment can change {path},'
                   ' and so become root, who executes or obeys what is there:'
                   ' give it to root, writable for nobody else')

    def _write_scripts(self, transaction: files.FileTransaction,
                       ) -> Iterator[str]:
        directory = self.buildout['buildout']['bin-directory']
        allowed = access(Kind.SCRIPT, self.layout)

        def write(path: str, make: Callable[[], list[str]]) -> list[str]:
            transaction.make_way(path, allowed.owner)
            paths = make()
            transaction.restrict(path, allowed.mode, allowed.owner)
            transaction.note_changes([path])
            return paths

        for output in self.outputs:
            yield from write(output.script, functools.partial(
                self.scripts.start, output.script, eggs.START,
                output.arguments, output.initialization))
        if name := self.values['interpreter']:
            path = os.path.join(directory, name)
            yield from write(path, functools.partial(
                self.scripts.interpreter, path,
                self.outputs[0].interpreter_initialization))
        if self.tree and self.servers[0].is_ours:
            yield from write(self._tree_script, functools.partial(
                self.scripts.start, self._tree_script, eggs.TREE,
                self.outputs[0].tree_arguments(self._tree_path), ''))
        for path in self.scripts.console_scripts(
                directory, self.values,
                self._console.code(self.layout.user, is_required=False)):
            transaction.restrict(path, allowed.mode, allowed.owner)
            yield path

    @functools.cached_property
    def _console(self) -> prelude.Prelude:
        """What console scripts execute: `initialization`, no variables."""
        return prelude.Prelude(
            self.layout.file(f'{self.name}-scripts', 'secrets.py'),
            self.relocation, {}, self.values['initialization'])

    def _run(self, command: str) -> None:
        done = subprocess.run(command, shell=True, check=False,
                              cwd=self.layout.buildout)
        if done.returncode:
            refuse(self.name, [
                f"option 'on-change': {_kept('on-change', command)!r} ended"
                f' with exit status {done.returncode}; the files are as they'
                ' were before'])


def _kept(name: str, value: str) -> str:
    """Return what .installed.cfg may hold of an option's value."""
    option = name.rpartition('.')[2]
    if option == 'zookeeper-auth' or (
            option in CODE and redaction.mentions_secret(value)):
        return NOT_KEPT
    return redaction.redact_text(value, NOT_KEPT)


def problems_of(servers: list[ServerInstance]) -> Iterator[str]:
    """Yield the problems of all servers; once if all have the same."""
    everywhere = set.intersection(*(set(server.problems)
                                    for server in servers))
    for server in servers:
        for problem in server.problems:
            yield (problem if problem in everywhere
                   else f'instance {server.name!r}: {problem}')
