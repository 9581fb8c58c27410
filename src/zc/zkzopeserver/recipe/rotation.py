"""Write configurations of logrotate (logrotate(8))."""
from __future__ import annotations

import os
import re
from collections.abc import Iterable

DIRECTIVES = """\
weekly
rotate 10
missingok
notifempty
compress
delaycompress"""

# The file of a handler in ZConfig text.  STDOUT and STDERR are not rotated;
# ZConfig replaces a word that begins with $.
_logfile = re.compile(r'^(\s*path\s+)(?!STD(?:OUT|ERR)\s*$|\$)(\S.*?)\s*$',
                      re.MULTILINE | re.IGNORECASE)


def logs(loggers: str) -> list[str]:
    """Return the log files in the text of the option `loggers`."""
    return [path for _, path in _logfile.findall(loggers)]


def with_directory(loggers: str, directory: str) -> str:
    """Return the text of `loggers` with relative files in `directory`."""
    return _logfile.sub(
        lambda match: match[1] + os.path.join(directory, match[2]), loggers)


def configuration(wanted: bool | str, paths: Iterable[str],
                  scripts: Iterable[str], user: str, group: str) -> str:
    """Return the text of a configuration.

    `wanted` is True for `DIRECTIVES`, or other directives, or a whole
    configuration, which has braces.  `scripts` are the start scripts of the
    servers that write the logs in `paths`.
    """
    if isinstance(wanted, str) and '{' in wanted:
        return wanted.strip('\n') + '\n'
    directives = wanted if isinstance(wanted, str) else DIRECTIVES
    lines = [line.strip() for line in directives.strip().split('\n')]
    if user and user != 'root' and not _has(lines, 'su'):
        # The user could put a symbolic link into the directory, which root
        # would follow.
        lines.append(f'su {user} {group}')
    if not _has(lines, 'postrotate'):
        lines += ['sharedscripts', 'postrotate', *(
            f'    {_shell(script)} logreopen > /dev/null'
            for script in scripts), 'endscript']
    names = ' '.join(f'"{path}"' for path in dict.fromkeys(paths))
    return '\n'.join([names + ' {', *('    ' + line for line in lines), '}',
                      ''])


def _has(lines: Iterable[str], directive: str) -> bool:
    return any(line.split()[:1] == [directive] for line in lines)


def _shell(path: str) -> str:
    if re.fullmatch(r'[\w@%+=:,./-]+', path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"
