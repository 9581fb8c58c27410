"""Run real buildouts for the tests of the recipe, offline, a process each.

A `Store` is prepared once for many tests.  It has links to the distributions
that this process runs with, metadata of this project, and an application to
serve.  A `Sandbox` is a buildout directory that finds its distributions in a
store.
"""
from __future__ import annotations

import copy
import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zc.zkzopeserver.recipe

ENTRY_POINTS = """\
[paste.server_runner]
main = zc.zkzopeserver:run
[zc.buildout]
default = zc.zkzopeserver.recipe:Recipe
follow = zc.zkzopeserver.recipe:follow
tree = zc.zkzopeserver.recipe:tree
[zc.buildout.uninstall]
default = zc.zkzopeserver.recipe:uninstall
follow = zc.zkzopeserver.recipe:uninstall
tree = zc.zkzopeserver.recipe:uninstall
"""

# As published, without its requirements.  In each run buildout would read the
# whole directory with the required distributions, to see whether it changed.
DEPLOYMENT_ENTRY_POINTS = """\
[zc.buildout]
default = zc.recipe.deployment:Install
[zc.buildout.uninstall]
default = zc.recipe.deployment:uninstall
"""

EGG_ENTRY_POINTS = """\
[zc.buildout]
default = zc.recipe.egg:Scripts
"""

EXTRAS = '[daemon]', '[monitor]', '[loggers]'

METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
"""

APPLICATION = '''
"""An application, two filters and a server that only tell their options."""
import json
import sys


def application(global_conf, **local_conf):
    def app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'application/json')])
        return [json.dumps([global_conf, local_conf]).encode()]
    return app


def filtered(app, global_conf, **local_conf):
    def wrapped(environ, start_response):
        return app(environ, start_response)
    return wrapped


def filter_factory(global_conf, **local_conf):
    return lambda app: filtered(app, global_conf, **local_conf)


def serve(app, global_conf, **local_conf):
    json.dump([global_conf, local_conf], sys.stdout)


def hello():
    print('hello', *sys.argv[1:])
'''

APPLICATION_ENTRY_POINTS = """\
[paste.app_factory]
main = sandboxapp:application
[paste.filter_app_factory]
one = sandboxapp:filtered
[paste.filter_factory]
two = sandboxapp:filter_factory
[paste.server_runner]
main = sandboxapp:serve
[console_scripts]
hello = sandboxapp:hello
"""

# A proxy that refuses, so that a request to a network fails at once.
NOWHERE = 'http://127.0.0.1:9'

# Imports take most of buildout's time: they are done once, and each run is a
# fork.
RUNS = """\
import json
import os
import sys
sys.path[:0] = {path!r}
import zc.buildout.buildout
import zc.recipe.egg
import zc.zkzopeserver.recipe
for line in sys.stdin:
    directory, umask, output, arguments = json.loads(line)
    if not (child := os.fork()):
        os.chdir(directory)
        os.umask(umask)
        with open(output, 'wb') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.exit(zc.buildout.buildout.main(['-U', *arguments]))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@dataclasses.dataclass
class Run:
    """The exit status and the output of a run of buildout."""

    status: int
    output: str


class Store:
    """Distributions that sandboxes find without a network."""

    def __init__(self, root: Path, wheels: bool = False,
                 extras: Iterable[str] = EXTRAS) -> None:
        """Prepare the directories below `root`.

        With `wheels`, distributions have the metadata of a wheel, and ours
        and zc.recipe.egg have their requirements.  Without, ours has the
        lines `extras` of a ``requires.txt``.
        """
        self.wheels = wheels
        self.extras = extras
        self.develop_eggs = root / 'develop-eggs'
        self.eggs = root / 'eggs'
        self.home = root / 'home'
        for directory in self.develop_eggs, self.eggs, self.home:
            directory.mkdir(parents=True)
        self._link_installed()
        # A later version than an installed one, and before it on the path.
        self.add('zc.zkzopeserver', '2.0.post1', ENTRY_POINTS,
                 required('zc.zkzopeserver') if wheels else ())
        if wheels:
            self.add('zc.recipe.egg', '6.0.0.post1', EGG_ENTRY_POINTS,
                     required('zc.recipe.egg'))
        self.add('zc.recipe.deployment', '1.3.0.post1',
                 DEPLOYMENT_ENTRY_POINTS)
        self.add('sandboxapp', '1.0', APPLICATION_ENTRY_POINTS)
        (self.develop_eggs / 'sandboxapp.py').write_text(APPLICATION)
        source = Path(zc.zkzopeserver.recipe.__file__).parents[3]
        (self.develop_eggs / 'source.pth').write_text(f'{source}\n')
        self._output = root / 'output.txt'
        # Both are for the process that runs buildout, which starts with the
        # first run.
        self._variables: Mapping[str, str] = {}
        self._runs: subprocess.Popen[str] | None = None

    def again(self, **variables: str) -> Store:
        """Return a store of the same distributions, with other variables."""
        other = copy.copy(self)
        other._variables, other._runs = variables, None
        return other

    def _start(self) -> subprocess.Popen[str]:
        path = [str(self.develop_eggs),
                *(path for path in sys.path if path and os.path.isdir(path))]
        return subprocess.Popen(
            [sys.executable, '-c', RUNS.format(path=path)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, 'HOME': str(self.home), 'LC_ALL': 'C.UTF-8',
                 'http_proxy': NOWHERE, 'https_proxy': NOWHERE,
                 **self._variables})

    def run(self, directory: Path, *arguments: str) -> Run:
        """Run buildout in the directory, with the umask of this process."""
        if self._runs is None:
            self._runs = self._start()
        assert self._runs.stdin and self._runs.stdout
        umask = os.umask(0o077)
        os.umask(umask)
        print(json.dumps([str(directory), umask, str(self._output),
                          arguments]), file=self._runs.stdin, flush=True)
        status = int(self._runs.stdout.readline())
        return Run(status, self._output.read_text(encoding='utf-8'))

    def close(self) -> None:
        """End the process that runs buildouts."""
        if self._runs is not None:
            with self._runs:
                pass

    def _link_installed(self) -> None:
        """Link the directories of this process's distributions."""
        locations = {str(found.locate_file('')) for found in
                     importlib.metadata.distributions()}
        for number, location in enumerate(sorted(locations)):
            (self.develop_eggs / f'installed-{number}.egg-link').write_text(
                location + '\n')

    def add(self, name: str, version: str, entry_points: str,
            requires: Sequence[str] = (), place: Path | None = None) -> None:
        """Add a distribution's metadata.

        It is the metadata of a develop egg, which has the name unchanged, or
        that of a wheel.  `place` is a directory to make for it alone.
        """
        if place is None:
            place = self.develop_eggs
        else:
            place.mkdir()
            (self.develop_eggs / f'{place.name}.egg-link').write_text(
                f'{place}\n')
        text = METADATA.format(name=name, version=version)
        if self.wheels:
            info = place / (
                f'{name.replace(".", "_")}-{version}.dist-info')
            info.mkdir()
            extras = set(re.findall(r'extra == .(\w+)', ' '.join(requires)))
            (info / 'METADATA').write_text(text + ''.join(
                [f'Requires-Dist: {each}\n' for each in requires]
                + [f'Provides-Extra: {each}\n' for each in extras]))
        else:
            info = place / f'{name}.egg-info'
            info.mkdir()
            (info / 'PKG-INFO').write_text(text)
            (info / 'requires.txt').write_text(
                '\n'.join([*requires, *self.extras]) + '\n')
        (info / 'entry_points.txt').write_text(entry_points)


def required(name: str) -> list[str]:
    """Return what an installed distribution requires, with its extras."""
    return importlib.metadata.requires(name) or []


class Sandbox:
    """A buildout directory."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.store = store

    def write(self, text: str, parts: str = 'web',
              buildout: str = '') -> None:
        """Write buildout.cfg with the sections in `text`."""
        (self.root / 'buildout.cfg').write_text(
            '[buildout]\n'
            f'parts = {parts}\n'
            'offline = true\n'
            'newest = false\n'
            f'develop-eggs-directory = {self.store.develop_eggs}\n'
            f'eggs-directory = {self.store.eggs}\n'
            f'{buildout}\n{text}', encoding='utf-8')

    def run(self, text: str | None = None, parts: str = 'web',
            buildout: str = '', arguments: tuple[str, ...] = ()) -> Run:
        """Run buildout, after `write` if there is a text."""
        if text is not None:
            self.write(text, parts, buildout)
        return self.store.run(self.root, *arguments)

    def built(self, text: str | None = None, **more: Any) -> str:
        """Run buildout, which must succeed; return its output."""
        run = self.run(text, **more)
        assert run.status == 0, run.output
        return run.output

    def refused(self, text: str, **more: Any) -> str:
        """Run buildout, which must end with an error; return its text."""
        run = self.run(text, **more)
        assert run.status == 1, run.output
        assert 'Traceback' not in run.output, run.output
        return run.output.partition('Error: ')[2]

    def path(self, *names: str) -> Path:
        """Return a path in the buildout directory."""
        return self.root.joinpath(*names)

    def read(self, *names: str) -> str:
        """Return the text of a file in the buildout directory."""
        return self.path(*names).read_text(encoding='utf-8')
