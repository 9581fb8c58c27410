"""What the verbs print, without anything that a terminal would obey.

Names of nodes, answers of servers and texts of exceptions come from others.
An escape sequence in them could hide lines, or type commands into some
terminals.  The verbs print through `guarded`, so that none can forget it.
"""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from typing import TextIO

from zc.zk.printable import printable_lines

from zc.zkzopeserver.errors import OutputError


class PrintableStream:
    """A text stream that escapes control characters; see `printable`.

    Ends of lines and tabs stay, as output has them of its own: a text that
    is to be one line is made so before (`printable`).  What the encoding of
    the stream does not have is escaped, too.

    `terminal` is the stream itself, for what a terminal is to obey.  Where
    the stream has a `name` an OutputError with it tells that writing fails,
    as on a full disk; else that is an OSError.
    """

    def __init__(self, stream: TextIO, name: str | None = None) -> None:
        self.terminal = stream
        self._name = name

    def write(self, text: str) -> int:
        """Write the text; return its length."""
        shown = '\n'.join(printable_lines(text + '\n'))
        encoding = getattr(self.terminal, 'encoding', None) or 'utf-8'
        with self._told():
            self.terminal.write(
                shown.encode(encoding, 'backslashreplace').decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._told():
            self.terminal.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Make an OutputError of an OSError, but not of a closed pipe's."""
        try:
            yield
        except OSError as error:
            if self._name is None or isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f'{self._name}: {error.strerror}') from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Have standard output and standard error escape control characters."""
    # Only an OSError of standard error is passed over by logging.
    with contextlib.redirect_stdout(
            PrintableStream(sys.stdout, 'standard output')), \
            contextlib.redirect_stderr(PrintableStream(sys.stderr)):
        yield
