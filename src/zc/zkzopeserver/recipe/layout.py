"""Where the files of a part go, who owns them, and what moves with them."""
from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import re
from collections.abc import Mapping

# The options of a section of zc.recipe.deployment that are used here.
DEPLOYMENT = ('user', 'etc-directory', 'log-directory', 'run-directory',
              'rc-directory', 'logrotate-directory')


@dataclasses.dataclass(frozen=True)
class Layout:
    """The directories of a part, and the names of the files in them.

    `logs` is the directory of logs with relative names.  Without a deployment
    `run`, `prefix` and `user` are ''.
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
        """Return the name in a directory that deployments share."""
        return self.prefix + name

    def path(self, name: str) -> str:
        """Return the path of a file in the configuration directory."""
        return os.path.join(self.configuration, name)

    def file(self, name: str, kind: str) -> str:
        """Return the path of ``NAME.KIND`` in the configuration directory."""
        return self.path(f'{name}.{kind}')

    def script(self, name: str) -> str:
        """Return the path of the start script."""
        return os.path.join(self.scripts, self.full_name(name))

    def rotation_file(self, name: str) -> str:
        """Return the path of the configuration of logrotate."""
        if self.run:
            return os.path.join(self.rotation, self.full_name(name))
        return self.file(name, 'logrotate')

    def run_file(self, name: str, kind: str) -> str:
        """Return the path of a file of the running server: ``NAME.KIND``."""
        return os.path.join(self.run or self.configuration, f'{name}.{kind}')

    def transcript(self, name: str) -> str:
        """Return the path of what a server in the background writes.

        It must outlive a boot, which empties the directory of pid files.
        """
        if self.run:
            return os.path.join(self.logs, f'{name}-transcript.log')
        return self.run_file(name, 'log')

    def owner(self) -> tuple[int, int] | None:
        """Return (uid, gid) of the user that runs the server.

        None stands for the user that runs buildout.
        """
        if not self.user:
            return None
        found = pwd.getpwnam(self.user)
        return found.pw_uid, found.pw_gid

    def group(self) -> str:
        """Return the group of the deployment's user, its number if unnamed."""
        number = pwd.getpwnam(self.user).pw_gid
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)


def plain(buildout: str, parts: str, scripts: str, part: str) -> Layout:
    """Return the layout without a deployment: ``parts/NAME`` and ``bin``."""
    own = os.path.join(parts, part)
    return Layout(buildout, own, scripts, own, buildout)


def deployed(buildout: str, section: Mapping[str, str], name: str) -> Layout:
    """Return the layout that a section of zc.recipe.deployment asks for."""
    return Layout(
        buildout, section['etc-directory'], section['rc-directory'],
        section['logrotate-directory'], section['log-directory'],
        section['run-directory'], section.get('name', name) + '-',
        section['user'])


def deployment_problems(section: Mapping[str, str], name: str) -> list[str]:
    """Return the problems of a section that is to be a deployment."""
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
    """Replace the buildout's directory in texts, so that it can be moved.

    `directory` is the buildout's; '' means that nothing is replaced.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._find = re.compile(
            r'(?<![\w./-])' + re.escape(directory)
            + r'(?=[/\s"\',;:)\]]|$)') if directory else None

    def covers(self, path: str) -> bool:
        """Return whether the path moves with the buildout."""
        return bool(self.directory) and os.path.commonpath(
            [self.directory, path]) == self.directory

    def in_ini(self, text: str, here: str) -> str:
        """Return the text for an ini in the directory `here`."""
        return self._replaced(text, self._from('%(here)s', here))

    def read_back(self, value: str, here: str) -> str:
        """Return what PasteDeploy reads for a value of that ini."""
        return self._replaced(value, self._from(here, here))

    def expression(self, text: str) -> str:
        """Return the Python expression of a text.

        In scripts with relative paths `base` is the buildout's directory.
        """
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
