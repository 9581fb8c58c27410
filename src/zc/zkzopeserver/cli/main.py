"""The command line of ``bin/NAME``: its verbs and the option of all of them.

A verb is a module of this package with ``run(place, arguments)``, which
returns the exit status; ``DESCRIPTION`` and ``STATUSES`` for its help; and
``add_arguments(parser)``, if it has arguments of its own.
"""
from __future__ import annotations

import importlib
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import argparse

DEFAULT = 'fg'

# The module of each, and its line in the help.
VERBS = {
    'fg': ('fg', 'serve in the foreground, as without a verb'),
    'start': ('start', 'serve in the background; returns when it is'
                          ' registered and answers'),
    'stop': ('stop', 'stop it; returns when it is gone'),
    'restart': ('restart', 'stop it, if it runs, and start it'),
    'reload': ('reload', 'replace its workers one by one; returns when'
                            ' that is done'),
    'status': ('status', 'compare its processes with ZooKeeper'),
    'check': ('check', 'check ini, application and ZooKeeper without'
                          ' serving'),
    'logreopen': ('logreopen', 'open its log files anew, after a rotation'),
    'show': ('show', 'show the options in effect, and where each comes'
                        ' from'),
    'tree': ('tree', 'show the providers node with the live nodes'),
    'monitor': ('monitor', 'ask its monitor servers'),
}

STATUSES = """\
exit status of most verbs: 0 fine; 1 an error; 2 an option, an address or a
file is wrong; 3 ZooKeeper cannot be reached, or the path is not there; 4 not
ready in time; 5 workers died again and again.  `status` has its own: see
VERB --help."""

OPTION = '-o', '--option'


def parse(name: str, argv: Sequence[str]
          ) -> tuple[types.ModuleType, dict[str, str], Any]:
    """(module of the verb, options of the server, arguments of the verb).

    The arguments are None for `fg`, which has none.

    Exits, with status 2, when the command line is wrong, and with 0 after a
    call for help.
    """
    head, verb, rest = split(argv)
    if verb == DEFAULT and (pairs := well_formed([*head, *rest])):
        # Serving does without a parser, which takes time to import.
        return module(verb), dict(pairs[1:]), None
    parser = main_parser(name)
    before = parser.parse_args(head).option
    if verb not in VERBS:
        parser.error(unknown(verb))
    found = module(verb)
    arguments = verb_parser(name, verb, found).parse_args(rest)
    return (found, dict(before + arguments.option),
            None if verb == DEFAULT else arguments)


def split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """(what is before the verb, verb, what follows it)."""
    position = 0
    while position < len(argv) and argv[position].startswith('-'):
        position += 2 if argv[position] in OPTION else 1
    if position >= len(argv):
        return list(argv), DEFAULT, []
    return (list(argv[:position]), argv[position],
            list(argv[position + 1:]))


def well_formed(head: Sequence[str]) -> list[tuple[str, str]]:
    """[()] and the pairs of ``-o NAME=VALUE ...``; [] for anything else."""
    pairs = [('', '')]
    for option, value in zip(head[::2], head[1::2], strict=False):
        name, equals, text = value.partition('=')
        if option not in OPTION or not name or not equals:
            return []
        pairs.append((name, text))
    return [] if len(head) % 2 else pairs


def module(verb: str) -> types.ModuleType:
    """The module of a verb."""
    return importlib.import_module(
        f'zc.zkzopeserver.cli.verbs.{VERBS[verb][0]}')


def unknown(verb: str) -> str:
    """The sentence about a verb that there is not."""
    import difflib
    near = difflib.get_close_matches(verb, VERBS, 1)
    return f'unknown verb {verb!r} (' + (
        f'did you mean {near[0]!r}?)' if near
        else 'known are ' + ', '.join(VERBS) + ')')


def main_parser(name: str) -> argparse.ArgumentParser:
    """What comes before the verb."""
    verbs = '\n'.join(f'  {verb:<11} {text}'
                      for verb, (_, text) in VERBS.items())
    return make_parser(
        name, 'Run a WSGI application as a server that is registered in'
        ' ZooKeeper, and see how it is.',
        f'verbs (each has a --help of its own):\n{verbs}\n\n{STATUSES}',
        usage='%(prog)s [-o NAME=VALUE]... [VERB] ...')


def verb_parser(name: str, verb: str,
                found: types.ModuleType) -> argparse.ArgumentParser:
    """What comes after the verb."""
    parser = make_parser(f'{name} {verb}', found.DESCRIPTION, found.STATUSES)
    if hasattr(found, 'add_arguments'):
        found.add_arguments(parser)
    return parser


def make_parser(prog: str, description: str, epilog: str,
                usage: str | None = None) -> argparse.ArgumentParser:
    """A parser with the option that all have."""
    import argparse
    parser = argparse.ArgumentParser(
        prog=prog, usage=usage, description=description, epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        *OPTION, metavar='NAME=VALUE', action='append', default=[],
        type=name_and_value,
        help='a server option that stands instead of the one in the ini'
             ' (can be given several times)')
    return parser


def name_and_value(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` of the command line."""
    import argparse
    name, equals, value = text.partition('=')
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE')
    return name, value
