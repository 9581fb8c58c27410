"""Where the files of a part go, and whose they are."""
from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import re
from collections.abc import Mapping

# What we need of a section of zc.recipe.deployment.
DEPLOYMENT = ('user', 'etc-directory', 'log-directory', 'run-directory',
              'rc-directory', 'logrotate-directory')


@dataclasses.dataclass(frozen=True)
class Layout:
    """Directories of a part, and the names in them.

    `logs` is where a relative name of a log is, `run` is '' without a
    deployment.
    """

    buildout: str
    configuration: str
    scripts: str
    rotation: str
    logs: str
    run: str = ''
    prefix: str = ''
    user: str = ''

    def full_name(self, name: str) -> str:
        """The name where those of other deployments are, too."""
        return self.prefix + name

    def path(self, name: str) -> str:
        """A file of the configuration directory."""
        return os.path.join(self.configuration, name)

    def file(self, name: str, kind: str) -> str:
        """A file of the configuration directory: ``NAME.KIND``."""
        return self.path(f'{name}.{kind}')

    def script(self, name: str) -> str:
        """The start script."""
        return os.path.join(self.scripts, self.full_name(name))

    def rotation_file(self, name: str) -> str:
        """The configuration of logrotate."""
        if self.run:
            return os.path.join(self.rotation, self.full_name(name))
        return self.file(name, 'logrotate')

    def run_file(self, name: str, kind: str) -> str:
        """A file of the running server."""
        return os.path.join(self.run or self.configuration, f'{name}.{kind}')

    def owner(self) -> tuple[int, int] | None:
        """(uid, gid) of who runs the server."""
        if not self.user:
            return None
        found = pwd.getpwnam(self.user)
        return found.pw_uid, found.pw_gid

    def group(self) -> str:
        """The group of who runs the server."""
        number = pwd.getpwnam(self.user).pw_gid
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)


def plain(buildout: str, parts: str, scripts: str, part: str) -> Layout:
    """Without a deployment: ``parts/NAME`` and ``bin``."""
    own = os.path.join(parts, part)
    return Layout(buildout, own, scripts, own, buildout)


def deployed(buildout: str, section: Mapping[str, str], name: str) -> Layout:
    """As a section of zc.recipe.deployment says."""
    return Layout(
        buildout, section['etc-directory'], section['rc-directory'],
        section['logrotate-directory'], section['log-directory'],
        section['run-directory'], section.get('name', name) + '-',
        section['user'])


def deployment_problems(section: Mapping[str, str], name: str) -> list[str]:
    """Why the section cannot be a deployment."""
    problems = [
        f"option 'deployment': [{name}] has no {key!r}, which a section of"
        ' zc.recipe.deployment has' for key in DEPLOYMENT if key not in
        section]
    if not problems:
        try:
            pwd.getpwnam(section['user'])
        except KeyError:
            problems.append(f"option 'deployment': the user"
                            f" {section['user']!r} of [{name}] does not"
                            ' exist')
    return problems


class Relocation:
    """The buildout's directory in texts; '' when it is not to be moved."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._find = re.compile(
            r'(?<![\w./-])' + re.escape(directory)
            + r'(?=[/\s"\',;:)\]]|$)') if directory else None

    def covers(self, path: str) -> bool:
        """Whether the path moves with the buildout."""
        return bool(self.directory) and os.path.commonpath(
            [self.directory, path]) == self.directory

    def in_ini(self, text: str, here: str) -> str:
        """The text of an ini in the directory `here`."""
        return self._replaced(text, self._from('%(here)s', here))

    def read_back(self, value: str, here: str) -> str:
        """What a value of that ini is once it is read."""
        return self._replaced(value, self._from(here, here))

    def expression(self, text: str) -> str:
        """Python for the text, in a script where `base` is the buildout."""
        if not self._find:
            return repr(text)
        pieces = [repr(piece) if piece else ''
                  for piece in self._find.split(text)]
        found = ' + base + '.join(pieces)
        return re.sub(r'^ \+ | \+ $', '', found) or repr(text)

    def _from(self, start: str, here: str) -> str:
        return os.path.join(start, os.path.relpath(self.directory, here)
                            ) if self.directory else ''

    def _replaced(self, text: str, by: str) -> str:
        return self._find.sub(lambda _: by, text) if self._find else text
