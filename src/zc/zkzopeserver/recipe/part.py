"""The recipe `zc.zkzopeserver`: a section of a buildout -> a server."""
from __future__ import annotations

import os
from typing import Any

import zc.buildout

from zc.zkzopeserver.options import OptionsError
from zc.zkzopeserver.recipe import eggs
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe import ini
from zc.zkzopeserver.recipe import layout
from zc.zkzopeserver.recipe import loading
from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import server

# Paths that parts of this run of buildout are about to write.
_planned: set[str] = set()


class Recipe:
    """The part that a section asks for.

    The constructor reads and checks everything, and refuses with one
    UserError for all that is wrong; `install` writes, and `update` is the
    same.
    """

    def __init__(self, buildout: Any, name: str, options: Any) -> None:
        self.buildout = buildout
        self.name = name
        self.raw = section.known(options)
        values, problems = section.check(self.raw)
        wanted = section.server_values(self.raw)
        problems += section.unknown(options.keys())
        problems += server.problems(self.raw, values, wanted)
        directories = buildout['buildout']
        self.layout = layout.plain(
            directories['directory'], directories['parts-directory'],
            directories['bin-directory'], name)
        options['location'] = self.layout.configuration
        self.script = os.path.join(self.layout.scripts,
                                   self.layout.script(name))
        self.path = self.layout.ini(name)
        self.text = ''
        if not problems:
            self._render(values, wanted, problems)
        if problems:
            raise zc.buildout.UserError(str(
                OptionsError(problems, f'[{name}]')))
        self.eggs = eggs.requirements(self.raw.get('eggs', ''),
                                      [values['app'] or ''], wanted)
        _planned.update((self.path, self.script))

    def _render(self, values: Any, wanted: Any, problems: list[str]) -> None:
        sections = server.sections(values, wanted)
        self.text = ini.render(sections, values['ini'] or '')
        problems += loading.problems(self.text, self.layout.configuration,
                                     sections)

    def install(self) -> list[str]:
        """Write what is not there as it should be; all paths."""
        made = eggs.Scripts(self.buildout, self.name, self.raw, self.eggs)
        with files.Writing() as writing:
            writing.keep(self.script)
            scripts = made.write(
                self.layout.scripts, self.layout.script(self.name),
                eggs.START, f'{self.path!r}, {self.name!r}')
            writing.note(scripts)
            writing.write(files.File(self.path, self.text, 0o640))
        return [self.path, *scripts]

    update = install


def uninstall(name: str, options: Any) -> None:
    """Remove what a part has written, and its directory if it is empty.

    buildout uninstalls a part with changed options before it installs it
    again.  Files that will then be written again stay, so that a server can
    start at any moment, and what is the same in the end is not touched.
    """
    installed = options['__buildout_installed__'].split('\n')
    files.remove(path for path in installed if path not in _planned)
    files.remove_empty(options['location'])
    # buildout removes what it finds here once we are back.
    options['__buildout_installed__'] = ''
