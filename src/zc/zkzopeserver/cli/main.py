"""Run a verb of ``bin/NAME``: its command line, its exit status, its errors.

The command line is ``[-o NAME=VALUE]... [VERB] [ARGUMENT]...``.  Without a
verb it is `fg`.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zope.server.form import form

from zc.zkzopeserver import privileges
from zc.zkzopeserver.cli.instance import MANAGER_WORD
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import VERBS
from zc.zkzopeserver.cli.verbs import Verb
from zc.zkzopeserver.cli.verbs import find
from zc.zkzopeserver.errors import OutputError

if TYPE_CHECKING:
    import argparse

DEFAULT = 'fg'

STATUSES = """\
exit status of most verbs: 0 fine; 1 an error; 2 an option, an address or a
file is wrong; 3 ZooKeeper cannot be reached, or the path is not there; 4 the
server is not ready in time; 5 workers died again and again.  `status` has
statuses of its own: see VERB --help."""

OPTION = '-o', '--option'

# The exit status after Ctrl-C: 128 + SIGINT, as shells have it.
INTERRUPTED = 130

# The exit status when the reader of the output is gone: 128 + SIGPIPE.
PIPE_CLOSED = 141


def execute(instance: Instance, argv: Sequence[str]) -> int:
    """Execute a command line for an instance; return its exit status.

    `argv` are the words of the command line.  An exception that has an
    `exit_status` is for the user to mend: its text is printed, and that is
    the status.  Any other exception is a defect and is raised.
    """
    argv = list(argv)
    open_standard_streams()
    if argv[:1] == [MANAGER_WORD]:
        from zc.zkzopeserver.cli import zdaemon
        return zdaemon.manage(argv[1:])
    verb, instance.overrides, arguments = parse(instance.name, argv)
    if arguments is None:
        return run(verb, instance, arguments)
    from zc.zkzopeserver.cli import output
    with output.guarded():
        log_errors()
        return run(verb, instance, arguments)


def run(verb: Verb, instance: Instance,
        arguments: argparse.Namespace | None) -> int:
    """Run a verb; return its exit status, or that of its error."""
    try:
        become_user(instance, verb.starts)
        done = verb.run(instance, arguments)
        sys.stdout.flush()
        return done
    except BrokenPipeError:
        if arguments is None:
            raise
        # As in ``bin/NAME show | head``.
        discard_output()
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print(f'{instance.name}: interrupted', file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        status = getattr(error, 'exit_status', None)
        if status is None:
            raise
        if isinstance(error, OutputError):
            discard_output()
        elif verb.on_error is not None:
            return verb.on_error(instance, error, arguments)
        for line in str(error).split('\n'):
            print(f'{instance.name}: {line}', file=sys.stderr)
        return status


def discard_output() -> None:
    """Send standard output nowhere, as it cannot be written.

    Python would complain once more when it flushes it at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def become_user(instance: Instance, starts: bool) -> None:
    """Become the user of the instance, if this process is root's.

    It comes before anything of the instance is read: its user may have
    written that.  With `starts` see `Verb`.
    """
    folders = {os.path.dirname(path): None for path in (
        instance.pid_file, instance.socket, instance.transcript,
        instance.session_file)}
    privileges.become(instance.user, tuple(folders) if starts else (),
                      required=starts)


def open_standard_streams() -> None:
    """Open what the caller has closed of stdin, stdout and stderr.

    Else a socket or a log file would get such a descriptor, and what a
    library prints would land there.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest descriptor that is free is this one.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(fd, True)
    if sys.stdout is None:
        sys.stdout = open(1, 'w', closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, 'w', closefd=False)


def log_errors() -> None:
    """Log errors alone, to stderr, so that the output of a verb is seen.

    kazoo's are not logged: the verb reports what fails at ZooKeeper.
    """
    import logging
    logging.basicConfig(level=logging.ERROR,
                        format='%(levelname)s %(name)s %(message)s')
    logging.getLogger('kazoo').setLevel(logging.CRITICAL)


def parse(name: str, argv: Sequence[str]
          ) -> tuple[Verb, dict[str, str], argparse.Namespace | None]:
    """Parse a command line; return (verb, options of -o, arguments).

    `name` is that of the program, for the help.  The arguments are None for
    `fg` without ``--reload``.  SystemExit with status 2 for a wrong command
    line, and with status 0 after ``--help``.
    """
    head, word, rest = split(argv)
    if word == DEFAULT:
        overrides = parse_overrides([*head, *rest])
        if overrides is not None:
            # Serving does without argparse, which takes time to import.
            return find(word), overrides, None
    parser = main_parser(name)
    before = parser.parse_args(head).option
    if word not in VERBS:
        parser.error(unknown(word))
    verb = find(word)
    arguments = verb_parser(name, word, verb).parse_args(rest)
    return (verb, dict(before + arguments.option),
            None if word == DEFAULT and not arguments.reload else arguments)


def split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Split a command line into (words before the verb, verb, words after).

    The verb is the first word that is no option; without one it is `fg`.
    """
    position = 0
    while position < len(argv) and argv[position].startswith('-'):
        position += 2 if argv[position] in OPTION else 1
    if position >= len(argv):
        return list(argv), DEFAULT, []
    return (list(argv[:position]), argv[position],
            list(argv[position + 1:]))


def parse_overrides(words: Sequence[str]) -> dict[str, str] | None:
    """Parse ``-o NAME=VALUE ...``; return None if there is anything else."""
    if len(words) % 2:
        return None
    overrides = {}
    for option, pair in zip(words[::2], words[1::2], strict=True):
        name, equals, value = pair.partition('=')
        if option not in OPTION or not name or not equals:
            return None
        overrides[name] = value
    return overrides


def unknown(name: str) -> str:
    """Return the error message for a verb that does not exist."""
    import difflib
    near = difflib.get_close_matches(name, VERBS, 1)
    return f'unknown verb {name!r} (' + (
        f'did you mean {near[0]!r}?)' if near
        else 'known are ' + ', '.join(VERBS) + ')')


def main_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of the words before the verb."""
    return make_parser(
        name, 'Serve a WSGI application, registered in ZooKeeper, and manage'
        ' its server.', verbs_and_statuses(),
        usage='%(prog)s [-o NAME=VALUE]... [VERB] ...')


def verbs_and_statuses() -> str:
    """Return what the help says of the verbs and the exit statuses."""
    verbs = '\n'.join(f'  {verb:<11} {text}'
                      for verb, (_, text) in VERBS.items())
    return (f'verbs (each has a --help of its own):\n{verbs}\n\n{STATUSES}\n\n'
            f'The HTTP server, zope.server, is {form()}.')


def verb_parser(name: str, word: str, verb: Verb) -> argparse.ArgumentParser:
    """Return the parser of the words after the verb."""
    parser = make_parser(f'{name} {word}', verb.description, verb.statuses)
    if verb.add_arguments is not None:
        verb.add_arguments(parser)
    return parser


def make_parser(prog: str, description: str, epilog: str,
                usage: str | None = None) -> argparse.ArgumentParser:
    """Return a parser that has the option ``-o``."""
    import argparse
    parser = argparse.ArgumentParser(
        prog=prog, usage=usage, description=description, epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        *OPTION, metavar='NAME=VALUE', action='append', default=[],
        type=name_and_value,
        help='set a server option, instead of the ini; can be given several'
             ' times')
    return parser


def name_and_value(text: str) -> tuple[str, str]:
    """Parse ``NAME=VALUE``; ArgumentTypeError for anything else."""
    import argparse
    name, equals, value = text.partition('=')
    if not equals or not name:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE')
    return name, value
