"""Run the shell examples of a text: ``$ COMMAND`` and its output.

A literal block that begins with a line ``$ COMMAND`` is an example.  Each
command runs in bash, in one folder; what it writes must match the lines that
follow it, in which ``...`` stands for anything.  A literal block whose
introduction ends with the name of a file, in double backquotes, is written to
that file first.
"""
from __future__ import annotations

import dataclasses
import doctest
import re
import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

FILE = re.compile(r'``([\w./-]+)``::$')


@dataclasses.dataclass
class Block:
    """A literal block: the line before it, its line's number, its text."""

    intro: str
    line: int
    text: str


@dataclasses.dataclass
class Example:
    """A command, its expected output, and the number of its line."""

    command: str
    expected: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Yield the literal blocks of reStructuredText."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        intro = lines[number]
        number += 1
        if not intro.endswith('::') or intro.startswith('..'):
            continue
        start = number
        while number < len(lines) and (not lines[number].strip()
                                       or lines[number].startswith(' ')):
            number += 1
        body = lines[start:number]
        while body and not body[0].strip():
            body.pop(0)
            start += 1
        indent = min((len(line) - len(line.lstrip())
                      for line in body if line.strip()), default=0)
        yield Block(intro, start + 1, '\n'.join(
            line[indent:] for line in body).rstrip() + '\n')


def examples(block: Block) -> Iterator[Example]:
    """Yield the commands of a block, each with its expected output."""
    found: Example | None = None
    for offset, line in enumerate(block.text.splitlines()):
        if line.startswith('$ '):
            if found:
                yield found
            found = Example(line[2:], '', block.line + offset)
        elif found and found.command.endswith('\\') and not found.expected:
            found.command = found.command[:-1] + line.strip()
        elif found:
            found.expected += line + '\n'
    if found:
        yield found


class Session:
    """Run the blocks of a text in a folder.

    `environ` is the environment of the commands.  `hidden` maps a text that
    a document shows to the value that this run has in its place.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str],
                 hidden: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.hidden = dict(hidden)

    def run(self, text: str, skipped: tuple[str, ...] = ()) -> int:
        """Run the examples of a text; return their number.

        A command that begins with one of `skipped` is not run.
        """
        count = 0
        for block in blocks(text):
            if FILE.search(block.intro):
                self.write(block)
            elif block.text.startswith('$ '):
                for example in examples(block):
                    if not example.command.startswith(skipped):
                        self.check(example)
                        count += 1
        return count

    def write(self, block: Block) -> None:
        """Write the file that a block shows, if it is one."""
        name = FILE.search(block.intro)
        if name:
            path = self.folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.shown(block.text))

    def shown(self, text: str) -> str:
        """Return a text with this run's values in it."""
        for shown, real in self.hidden.items():
            text = text.replace(shown, real)
        return text

    def check(self, example: Example) -> None:
        """Run an example; AssertionError when its output differs."""
        done = subprocess.run(
            ['bash', '-c', self.shown(example.command)], cwd=self.folder,
            env=self.environ, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        # A first line of dots stands for none, too: `start` says nothing of a
        # server that is up at the first look.
        expected = re.sub(r'\A\.{3}\n', '...',
                          tidy(self.shown(example.expected)))
        got = tidy(done.stdout)
        if not doctest.OutputChecker().check_output(expected, got,
                                                    doctest.ELLIPSIS):
            raise AssertionError(
                f'line {example.line}: $ {example.command}\n'
                f'expected:\n{expected}\ngot:\n{got}')


def tidy(text: str) -> str:
    """Return output without spaces at the ends of lines."""
    text = re.sub(r'[ \t]+$', '', text, flags=re.MULTILINE).rstrip()
    return text and text + '\n'
