"""``zkzopeserver INI``: what ``bin/NAME`` does, for an ini of any origin.

``python -m zc.zkzopeserver`` is the same.
"""
from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from collections.abc import Sequence

from zc.zkzopeserver.cli import main as command_line
from zc.zkzopeserver.cli.instance import FILES
from zc.zkzopeserver.cli.instance import MANAGER_WORD
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.instance import program

DESCRIPTION = """\
Serve the WSGI application of a PasteDeploy ini, registered in ZooKeeper, and
manage its server.  The server's section says `use = egg:zc.zkzopeserver`."""

VARIABLES = """\
VARIABLE=VALUE is for the interpolation of the ini (%(VARIABLE)s), and for the
application's factory.  -o NAME=VALUE is an option of the server, in the place
of the ini's, and so is ZKZOPESERVER_NAME=VALUE in the environment; -o comes
before both."""

# A word that sets a variable.
_variable = re.compile(r'[A-Za-z_][\w.-]*=').match

# The verbs whose words are not for this command.
VERBATIM = MANAGER_WORD, 'monitor'


def main(argv: Sequence[str] | None = None) -> int:
    """Execute a command line; return the exit status.

    `argv` are the words of the command line; None takes those of this
    process.  SystemExit with status 2 for a wrong command line.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = parser().parse_args(argv)
    ini, server = split(arguments.ini)
    words, variables = take_variables(arguments.words)
    name = arguments.name or default_name(ini, server)
    return command_line.execute(Instance(
        ini, name, run=process_files(name, arguments.run_directory),
        program=again(argv, ini, server, name, arguments.run_directory,
                      variables),
        server=server, variables=variables), words)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words up to the ini."""
    made = argparse.ArgumentParser(
        prog='zkzopeserver', description=DESCRIPTION, allow_abbrev=False,
        usage='%(prog)s [--name NAME] [--run-directory DIR] INI[#SERVER]\n'
              '                    [-o NAME=VALUE]... [VERB] ...'
              ' [VARIABLE=VALUE]...',
        epilog=f'{VARIABLES}\n\n{command_line.verbs_and_statuses()}',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        '--name', type=file_name, help="what begins each message, and names"
        " the files of the process (the ini's name, and -SERVER)")
    made.add_argument(
        '--run-directory', metavar='DIR', help='where the pid file, the'
        ' socket and the transcript are (beside the ini)')
    made.add_argument(
        'ini', metavar='INI[#SERVER]', help='the ini, and the name of its'
        ' server section, [server:SERVER] (main)')
    words = made.add_argument('words', nargs=argparse.REMAINDER,
                              help=argparse.SUPPRESS)
    # Before Python 3.13 a message would ask for them.
    words.required = False
    return made


def file_name(text: str) -> str:
    """Return a name that can begin the name of a file; else raise."""
    if not text or '/' in text or text.startswith('.') or (
            not text.isprintable()):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not the name of a file: it has no /, and does not'
            ' begin with a dot')
    return text


def split(word: str) -> tuple[str, str]:
    """Split ``INI[#SERVER]`` into (absolute path of the ini, SERVER)."""
    path, _, server = word.rpartition('#')
    if not path or os.path.exists(word):
        path, server = word, ''
    return os.path.abspath(path), server or 'main'


def default_name(ini: str, server: str) -> str:
    """Return the name of a server that was given none."""
    name = os.path.splitext(os.path.basename(ini))[0]
    if server != 'main':
        name += '-' + re.sub(r'[^\w.-]', '-', server)
    return name


def process_files(name: str, folder: str | None) -> dict[str, str]:
    """Return where the files of the process are, as `Instance` takes it."""
    if folder is None:
        return {}
    return {key: os.path.join(os.path.abspath(folder), f'{name}.{suffix}')
            for key, suffix in FILES.items()}


def take_variables(words: Sequence[str]
                   ) -> tuple[list[str], dict[str, str]]:
    """Split the words behind the ini into (words of the verb, variables)."""
    rest: list[str] = []
    variables: dict[str, str] = {}
    for position, word in enumerate(words):
        is_value = bool(rest) and rest[-1] in command_line.OPTION
        if word in VERBATIM and not is_value:
            return [*rest, *words[position:]], variables
        if _variable(word) and not is_value:
            variable, _, variables[variable] = word.partition('=')
        else:
            rest.append(word)
    return rest, variables


def again(argv: Sequence[str], ini: str, server: str, name: str,
          folder: str | None, variables: Mapping[str, str]) -> list[str]:
    """Return the command that runs this program for the same server again."""
    where = [] if folder is None else [
        '--run-directory', os.path.abspath(folder)]
    return [*program(argv), f'--name={name}', *where, f'{ini}#{server}',
            *(f'{each}={value}' for each, value in variables.items())]


if __name__ == '__main__':
    sys.exit(main())
