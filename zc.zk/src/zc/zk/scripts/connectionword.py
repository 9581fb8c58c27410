"""The first argument of a command, where the environment may have it."""
import argparse
import os
import re
from collections.abc import Sequence

from zc.zk.client import DEFAULT_VARIABLE

#: The name of the argument.
DEST = 'connection'

_SERVER = r'[^/,\s]+:\d+'
_is_connection = re.compile(rf'{_SERVER}(?:,{_SERVER})*(?:/.*)?').fullmatch


def with_connection(parser: argparse.ArgumentParser,
                    words: Sequence[str]) -> Sequence[str]:
    """Return the arguments, with the connection string of the environment.

    It is added where the variable is set, the command takes a connection
    string, and its first argument is not of the form ``HOST:PORT[,...]
    [/CHROOT]``. Without the variable, the first argument is a connection
    string, whatever its form.
    """
    default = os.environ.get(DEFAULT_VARIABLE)
    # argparse has no public list of its arguments.
    if not default or not any(
            action.dest == DEST for action in parser._actions):
        return words
    at = _first_argument(parser, words)
    # An empty shell variable must not mean the default.
    if at < len(words) and (not words[at].strip()
                            or _is_connection(words[at])):
        return words
    return [*words[:at], default, *words[at:]]


def _first_argument(parser: argparse.ArgumentParser,
                    words: Sequence[str]) -> int:
    """Return the index of the first word that belongs to no option.

    It is the number of words when all of them do.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == '--':
            return at + 1
        if len(word) < 2 or word[0] != '-':
            return at
        at += 2 if _takes_next_word(parser, word) else 1
    return len(words)


def _takes_next_word(parser: argparse.ArgumentParser, word: str) -> bool:
    """Return whether the value of an option is the next word."""
    if word.startswith('--'):
        # An option may be shortened, as long as it is clear.
        return '=' not in word and any(
            option.startswith(word) and action.nargs != 0
            for action in parser._actions
            for option in action.option_strings)
    valued = {option[1] for action in parser._actions if action.nargs != 0
              for option in action.option_strings if option[1] != '-'}
    for at, letter in enumerate(word[1:], 1):
        if letter in valued:
            return at == len(word) - 1
    return False
