"""What a generated script does before it imports anything.

It becomes the server's user, sets variables, and executes the user's own
code.  What has a secret of these stands in a file of its own, which the user
alone can read: the script is for everybody to read, and root's.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

from zc.zk import redaction

from zc.zkzopeserver.recipe.layout import Relocation

MODULE = 'zc.zkzopeserver.privileges'

# The name that the file with secrets gives further arguments of the call.
ARGUMENTS = 'secret_arguments'

# What comment signs update-rc.d(8) and systemd-sysv-generator(8) look for:
# without a header, ``systemctl enable`` of a unit of the script's name fails
# on Debian.
LSB = """\
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Should-Start:      $syslog $time zookeeper
# Should-Stop:       $syslog zookeeper
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: {name}, a server registered in ZooKeeper
### END INIT INFO"""


class Prelude:
    """The code of scripts that share variables and `initialization`.

    `path` is that of the file with secrets.  `secrets` is its text, '' when
    there are none.  `arguments` are further ones of the script's call.
    """

    def __init__(self, path: str, relocation: Relocation,
                 variables: Mapping[str, str], initialization: str,
                 arguments: str = '') -> None:
        self.path = path
        self._relocation = relocation
        hidden = {name: value for name, value in variables.items()
                  if redaction.is_secret(name, value)}
        self._variables = {name: value for name, value in variables.items()
                           if name not in hidden}
        self._initialization = self.arguments = ''
        lines = list(self._update(hidden))
        if redaction.mentions_secret(initialization):
            lines.append(initialization)
        else:
            self._initialization = initialization
        if redaction.mentions_secret(arguments):
            lines.append(f'{ARGUMENTS} = (lambda *words, **options:'
                         f' (words, options))({arguments.strip()})')
            self.arguments = f'*{ARGUMENTS}[0], **{ARGUMENTS}[1]'
        else:
            self.arguments = arguments.strip()
        self.secrets = '\n'.join([*lines, '']) if lines else ''

    def code(self, user: str, folders: Iterable[str] = (),
             is_required: bool = True, header: str = '') -> str:
        """Return the code for a script.

        The script becomes `user`, unless that is '', and makes the missing
        ones of `folders`.  Without `is_required` it does so only when it has
        to read secrets.
        """
        expression = self._relocation.expression
        lines = header.split('\n') if header else []
        is_user = bool(user and (is_required or self.secrets))
        if is_user or self.secrets:
            lines.append(f'import {MODULE}')
        if is_user:
            words = [repr(user), *map(expression, folders)]
            lines.append(f'{MODULE}.drop({", ".join(words)})')
        lines += self._update(self._variables)
        if self.secrets:
            lines.append(f'exec({MODULE}.secrets({expression(self.path)}))')
        if self._initialization:
            lines.append(self._initialization)
        return '\n'.join(lines)

    def _update(self, variables: Mapping[str, str]) -> Iterator[str]:
        if variables:
            yield from ('import os', 'os.environ.update({')
            for name, value in variables.items():
                yield f'    {name!r}: {self._relocation.expression(value)},'
            yield '})'
