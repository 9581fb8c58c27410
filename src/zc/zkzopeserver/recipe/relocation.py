"""Texts that stay true when the buildout is moved."""
from __future__ import annotations

import os
import re


class Relocation:
    """The buildout's directory in texts; '' when it is not to be moved."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._find = re.compile(
            r'(?<![\w./-])' + re.escape(directory)
            + r'(?=[/\s"\',;:)\]]|$)') if directory else None

    def covers(self, path: str) -> bool:
        """Whether the path moves with the buildout."""
        return bool(self.directory) and os.path.commonpath(
            [self.directory, path]) == self.directory

    def in_ini(self, text: str, here: str) -> str:
        """The text of an ini in the directory `here`."""
        return self._replaced(text, self._from('%(here)s', here))

    def read_back(self, value: str, here: str) -> str:
        """What a value of that ini is once it is read."""
        return self._replaced(value, self._from(here, here))

    def expression(self, text: str) -> str:
        """Python for the text, in a script where `base` is the buildout."""
        if not self._find:
            return repr(text)
        pieces = [repr(piece) if piece else ''
                  for piece in self._find.split(text)]
        found = ' + base + '.join(pieces)
        return re.sub(r'^ \+ | \+ $', '', found) or repr(text)

    def _from(self, start: str, here: str) -> str:
        return os.path.join(start, os.path.relpath(self.directory, here)
                            ) if self.directory else ''

    def _replaced(self, text: str, by: str) -> str:
        return self._find.sub(lambda _: by, text) if self._find else text
