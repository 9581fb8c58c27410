"""Configurations of logrotate."""
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

# A file that ZConfig text logs to; STDOUT and STDERR are not rotated, and $ is
# ZConfig's to replace.
_logfile = re.compile(r'^(\s*path\s+)(?!STD(?:OUT|ERR)\s*$|\$)(\S.*?)\s*$',
                      re.MULTILINE | re.IGNORECASE)


def logs(loggers: str) -> list[str]:
    """The files that the text of the `loggers` option names."""
    return [path for _, path in _logfile.findall(loggers)]


def with_directory(loggers: str, directory: str) -> str:
    """The text of `loggers` with its files below `directory`, if relative."""
    return _logfile.sub(
        lambda match: match[1] + os.path.join(directory, match[2]), loggers)


def configuration(wanted: bool | str, paths: Iterable[str],
                  scripts: Iterable[str], user: str, group: str) -> str:
    """The text of a configuration; `scripts` are of those who write the logs.

    `wanted` is True, the directives to use instead of ours, or a whole
    configuration, which has braces.
    """
    if isinstance(wanted, str) and '{' in wanted:
        return wanted.strip('\n') + '\n'
    directives = wanted if isinstance(wanted, str) else DIRECTIVES
    lines = [line.strip() for line in directives.strip().split('\n')]
    if user and user != 'root' and not _has(lines, 'su'):
        # The directory is the user's, where root should not be led astray.
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
