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


class PrintableStream:
    """A text stream that escapes control characters; see `printable`.

    Ends of lines and tabs stay, as output has them of its own: a text that
    is to be one line is made so before (`printable`).  What the encoding of
    the stream does not have is escaped, too.

    `terminal` is the stream itself, for what a terminal is to obey.
    """

    def __init__(self, stream: TextIO) -> None:
        self.terminal = stream

    def write(self, text: str) -> int:
        """Write the text; return its length."""
        shown = '\n'.join(printable_lines(text + '\n'))
        encoding = getattr(self.terminal, 'encoding', None) or 'utf-8'
        self.terminal.write(
            shown.encode(encoding, 'backslashreplace').decode(encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Have standard output and standard error escape control characters."""
    with contextlib.redirect_stdout(PrintableStream(sys.stdout)), \
            contextlib.redirect_stderr(PrintableStream(sys.stderr)):
        yield
