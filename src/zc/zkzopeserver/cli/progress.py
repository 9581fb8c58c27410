"""What a verb says while it waits: one line that changes, or plain lines."""
from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TextIO

# Seconds between two refreshes of the line, for the time that it shows.
REFRESH_S = 0.5


class Progress:
    """Tells how far something is; ``with`` leaves the terminal tidy.

    On a terminal there is one line, with the seconds that have passed;
    elsewhere a line for each news.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stdout
        self._is_terminal = (self._stream.isatty()
                             and os.environ.get('TERM') != 'dumb')
        self._began = time.monotonic()
        self._said = ''
        self._said_at = 0.0
        self._is_shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wipe()

    def tell(self, text: str) -> None:
        """How it is now; the same again is not told again."""
        now = time.monotonic()
        if text == self._said and (not self._is_terminal or
                                   now < self._said_at + REFRESH_S):
            return
        self._said, self._said_at = text, now
        if not self._is_terminal:
            self.say(text)
            return
        self._wipe()
        self._write(f'{self._name}: {text} ({now - self._began:.0f} s)')
        self._is_shown = True

    def say(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        self._write(f'{self._name}: {text}\n')

    def _wipe(self) -> None:
        if self._is_shown:
            self._is_shown = False
            self._write('\r\x1b[K')

    def _write(self, text: str) -> None:
        # Nobody reads any more: what is done goes on.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
            self._stream.flush()
