"""`Format`, the base of all formats, and the words that they allow."""
from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zc.zk.follow.upstream import Upstream
from zc.zk.printable import printable

#: Patterns of values that stand in a line of a configuration.
INTEGER = '[0-9]{1,9}'
POSITIVE = '[1-9][0-9]{0,8}'
TIME = '[0-9]{1,9}(?:us|ms|s|m|h|d)?'
SIZE = '[1-9][0-9]{0,8}[kKmM]?'
WORD = '[A-Za-z0-9_.-]{1,100}'
FILE = '/[A-Za-z0-9_./-]{1,200}'


#: The longest JSON that is written on one line.
LINE_LENGTH = 200


@dataclass(frozen=True)
class Word:
    """A word that `--options` may have.

    `value` is a regular expression for the value that follows it, None for a
    word without one. `place` is what it belongs to: each server, or the
    whole upstream.
    """

    value: str | None = None
    place: str = 'server'


class Format:
    """How one kind of proxy is told of its servers.

    `options` is the text of `--options`. Raises ValueError for words that the
    format does not allow.
    """

    #: The name that `--format` takes.
    name = ''
    #: Commands that are run by default; None for none.
    check: str | None = None
    reload: str | None = None
    #: The words that `--options` may have.
    words: Mapping[str, Word] = {}
    #: What joins a word and its value in the format.
    joint = ' '
    #: The longest time between a change in ZooKeeper and its effect on
    #: requests, as measured on a quiet machine; None for no requests.
    delay_s: float | None = None

    def __init__(self, options: str = '') -> None:
        self.given = self._parse(options)

    def render(self, upstreams: Sequence[Upstream]) -> str:
        """Return the text of the file."""
        raise NotImplementedError

    def of(self, place: str) -> list[str]:
        """Return the options of a place, each a word with its value."""
        return [text for word, text in self.given if
                self.words[word].place == place]

    def _parse(self, options: str) -> list[tuple[str, str]]:
        found = []
        texts = shlex.split(options)
        while texts:
            name, joined, value = texts.pop(0).partition('=')
            word = self.words.get(name)
            if word is None:
                raise ValueError(
                    f'{name!r} is no option of {self.name}; there are: '
                    + (', '.join(sorted(self.words)) or 'none'))
            if word.value is None:
                if joined:
                    raise ValueError(f'{name!r} has no value')
                found.append((name, name))
                continue
            if not joined:
                if not texts:
                    raise ValueError(f'{name!r} needs a value')
                value = texts.pop(0)
            if not re.fullmatch(word.value, value):
                raise ValueError(f'{value!r} cannot be the value of {name!r}')
            found.append((name, f'{name}{self.joint}{value}'))
        return found


def header(upstreams: Sequence[Upstream], sign: str = '#') -> str:
    """Return lines of comment that tell who writes the file, and from what."""
    paths = ', '.join(f'{upstream.name}={printable(upstream.path)}'
                      for upstream in upstreams)
    return (f'{sign} Written by zookeeper_follow, which overwrites changes.\n'
            f'{sign} From ZooKeeper: {paths}\n')


def json_text(value: Any) -> str:
    """Return a value as JSON, in lines: a long list has one for each server.

    The standard library's `indent` writes each number on a line of its own,
    and takes five times as long: it does without the encoder that is in C.
    """
    return _lines(value, '\n') + '\n'


def _lines(value: Any, end: str) -> str:
    text = json.dumps(value)
    if len(text) <= LINE_LENGTH or not isinstance(value, dict | list):
        return text
    inner = end + ' '
    if isinstance(value, list):
        return '[' + inner + (',' + inner).join(
            _lines(each, inner) for each in value) + end + ']'
    return '{' + inner + (',' + inner).join(
        f'{json.dumps(name)}: {_lines(each, inner)}'
        for name, each in value.items()) + end + '}'
