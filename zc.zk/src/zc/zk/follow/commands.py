"""Run the commands that check and reload a proxy, in bounded time."""
from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from zc.zk.printable import printable

#: The time that a command has.
TIMEOUT_S = 30.0

#: The most characters of a command's output that are logged.
MAX_OUTPUT = 500

# HAProxy tells its version in two lines, and its process id in all. The same
# error has to be the same text, so that it is logged once a minute.
_noise = re.compile(rb'^\[NOTICE\] .*\n?|(?<=\]) +\(\d+\) :',
                    re.MULTILINE).sub


@dataclass(frozen=True)
class Result:
    """How a command ended; the text says why it failed."""

    ok: bool
    text: str = ''


class Command:
    """A command line, which is split into words and run without a shell.

    Raises ValueError for a text that cannot be split.
    """

    def __init__(self, text: str, **names: str) -> None:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f'{text!r} is no command: {error}') from None
        self.words: Sequence[str] = [_fill(word, names) for word in words]

    def __bool__(self) -> bool:
        return bool(self.words)

    def __str__(self) -> str:
        return shlex.join(self.words)

    def run(self, timeout: float = TIMEOUT_S) -> Result:
        """Run the command and wait for it; never raises.

        It has no standard input, and a process group of its own, which is
        killed when the time is over. No command is success.
        """
        if not self.words:
            return Result(True)
        try:
            process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            return Result(False, f'{self.words[0]}: {error.strerror}')
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Result(False, f'{self}: not done within {timeout:g} s')
        output = _noise(b'', output[-4 * MAX_OUTPUT:])
        text = printable(output.strip(), MAX_OUTPUT)
        if process.returncode == 0:
            return Result(True, text)
        status = (f'ended by signal {-process.returncode}'
                  if process.returncode < 0
                  else f'exit status {process.returncode}')
        return Result(False, text or f'{self}: {status}')


def _fill(word: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(f'{{{name}}}', value)
    return word


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    # A daemon that left the group may hold the pipe: its end is not awaited.
    if process.stdout:
        process.stdout.close()
    process.wait()
