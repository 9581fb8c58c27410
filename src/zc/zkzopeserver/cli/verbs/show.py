"""``show``: print the options in effect, and where each comes from."""
from __future__ import annotations

import argparse
import contextlib
import json
import sys

from zc.zk.redaction import redact

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.settings import add_start_options
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.errors import StartError

DESCRIPTION = """\
Show the options of the server that are in effect, and where each comes from
(ini, environment, command line, what `start` was given if it runs, default),
the files of its process, and the other sections of the ini.  Values that look
like secrets are masked."""

STATUSES = """\
exit status: 0 fine; 2 an option or a file is wrong (the rest is shown all the
same)."""

# The origins of a value.
COMMAND_LINE, INI, DEFAULT = 'command line', 'ini', 'default'
ENVIRONMENT = 'environment'
STARTED = 'given to start'

# Name of an option -> (value, origin).
Values = dict[str, tuple[str, str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `show`."""
    parser.add_argument('--json', action='store_true',
                        help='as a JSON object')


def run(instance: Instance, arguments: argparse.Namespace) -> int:
    """Print the options; return 2 when some are wrong, else 0."""
    given = set(instance.overrides)
    with contextlib.suppress(StartError):
        add_start_options(instance)
    ini = Ini(instance)
    options, files = effective(ini, instance, given), process_files(instance)
    sections = {name: {key: redact(key, value)
                       for key, value in values.items()}
                for name, values in ini.sections().items()
                if not name.startswith('server:')}
    if arguments.json:
        print(as_json(instance, options, files, sections))
    else:
        print(as_text(instance, options, files, sections))
    problems = option_table.check(ini.options)[1] if ini.is_ours else []
    for problem in problems:
        print(f'{instance.name}: {ini.where}: {problem}', file=sys.stderr)
    return 2 if problems else 0


def effective(ini: Ini, instance: Instance, given: set[str]) -> Values:
    """Return the options of the server, in the order of their table.

    `given` are the names of those on this command line; the other overrides
    of the instance were on `start`'s.
    """
    values: Values = {}
    for option in option_table.TABLE if ini.is_ours else ():
        values[option.name] = option.default_text, DEFAULT
    for name, value in ini.options.items():
        origin = (COMMAND_LINE if name in given else
                  STARTED if name in instance.overrides else
                  ENVIRONMENT if name in ini.environment else INI)
        values[name] = redact(name, value.strip()), origin
    return values


def process_files(instance: Instance) -> dict[str, str]:
    """Return what the start script says of the process, for people."""
    return {'ini': instance.ini, 'pid file': instance.pid_file,
            'socket': instance.socket, 'transcript': instance.transcript,
            'user': instance.user or 'the user that starts it',
            'start-timeout': ('from ready_timeout'
                              if instance.start_timeout is None
                              else f'{instance.start_timeout:g} s')}


def as_text(instance: Instance, options: Values, files: dict[str, str],
            sections: dict[str, dict[str, str]]) -> str:
    """Return all as text for people."""
    lines = [f'{instance.name}:']
    lines += [f'  {name}: {value}' for name, value in files.items()]
    lines += ['', 'server:']
    width = max(map(len, options), default=0)
    for name, (value, origin) in options.items():
        lines.append(f'  {name:<{width}}  {indented(value)}  ({origin})')
    for name, values in sections.items():
        lines += ['', f'[{name}]']
        lines += [f'  {key} = {indented(value)}'
                  for key, value in values.items()]
    return '\n'.join(lines)


def indented(value: str) -> str:
    """Return a value with its lines after the first indented."""
    return value.replace('\n', '\n      ')


def as_json(instance: Instance, options: Values, files: dict[str, str],
            sections: dict[str, dict[str, str]]) -> str:
    """Return all as a JSON object, for programs."""
    return json.dumps({
        'name': instance.name, 'files': files,
        'options': {name: {'value': value, 'from': origin}
                    for name, (value, origin) in options.items()},
        'sections': sections}, indent=2)


SHOW = Verb(run, DESCRIPTION, STATUSES, add_arguments)
