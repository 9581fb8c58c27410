"""Read and write files, standard input and output; show progress."""
import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator

from zc.zk import safefiles
from zc.zk.tree import MAX_TEXT
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree import parse_tree
from zc.zk.tree.from_json import parse_json_tree

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

#: The most characters in one write to standard output.
PIECE_CHARACTERS = 2 ** 16

#: The time after which a progress bar appears.
PROGRESS_DELAY_S = 1.0

#: How a tree is written in a file.
TEXT, JSON = 'text', 'json'

STDIN, STDOUT = 'standard input', 'standard output'


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how a tree is written in a file."""
    parser.add_argument(
        '--format', choices=(TEXT, JSON), default=TEXT,
        help='how the tree is written in FILE: as text (default), or as the'
             ' JSON of zookeeper_export')


def read_file_tree(path: str, format_: str = TEXT) -> Node:
    """Return the tree in a file; ``-`` is standard input.

    `format_` is TEXT or JSON. Raise ValueError, with a line for each problem,
    for a text that is not a tree or not UTF-8.
    """
    name = STDIN if path == '-' else path
    try:
        text = _read(path)
        return parse_json_tree(text) if format_ == JSON else parse_tree(text)
    except TreeError as error:
        raise ValueError('\n'.join(
            f'{name}: {line}' for line in str(error).splitlines())) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{name}: not UTF-8 text: {error.reason} at byte {error.start}'
        ) from None


def write_output(text: str, path: str | None, mode: int | None = None
                 ) -> None:
    """Write to a file, atomically; None or ``-`` is standard output.

    A file gets UTF-8 in every locale, and `mode`, see `write_atomically`.
    """
    if path is None or path == '-':
        write_stdout(text)
    else:
        write_atomically(text, path, mode)


def write_stdout(text: str) -> None:
    """Write to standard output.

    Write UTF-8 when the text does not fit in the encoding of standard output.
    """
    with _naming(STDOUT):
        _write_stdout(text)


def flush_stdout() -> None:
    """Flush standard output."""
    with _naming(STDOUT):
        if sys.stdout is not None:
            sys.stdout.flush()


@contextlib.contextmanager
def progress(what: str, total: int | None = None
             ) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that shows a progress bar; None without a terminal.

    Call it with the number of things done so far, out of `total`. The bar
    appears on standard error after PROGRESS_DELAY_S, and goes at the end. It
    needs tqdm; None without it.
    """
    if tqdm is None or not sys.stderr.isatty():
        yield None
        return
    with tqdm(desc=what, total=total, unit='', unit_scale=True, leave=False,
              delay=PROGRESS_DELAY_S, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.n)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Raise each OSError of the block with the file name `name`."""
    try:
        yield
    except OSError as error:
        if name == STDOUT:
            # Else Python flushes again at its end, and prints the error.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, name) from None


def _write_stdout(text: str) -> None:
    if sys.stdout is None:  # the process was started with it closed
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        text.encode(getattr(sys.stdout, 'encoding', None) or 'utf-8')
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode('utf-8', 'backslashreplace'))
    else:
        # In pieces: an unbuffered stream (python -u) silently drops what a
        # pipe does not take of a large write.
        for start in range(0, len(text), PIECE_CHARACTERS):
            sys.stdout.write(text[start:start + PIECE_CHARACTERS])


def write_atomically(text: str, path: str, mode: int | None = None) -> None:
    """Replace or create a file, with the text or not at all.

    None as `mode` keeps the mode of the file, or obeys the umask. Links of
    other users are not followed, see `safefiles`.
    """
    data = text.encode('utf-8')
    with _naming(path):
        safefiles.replace(path, data, mode)


def _read(path: str) -> str:
    # One more than MAX_TEXT, so that parse_tree refuses a longer text.
    if path == '-':
        if sys.stdin is None:  # the process was started with it closed
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), STDIN)
        stdin = getattr(sys.stdin, 'buffer', None)
        if stdin is None:
            return sys.stdin.read(MAX_TEXT + 1)
        data = stdin.read(MAX_TEXT + 1)
    else:
        with open(path, 'rb') as file:
            data = file.read(MAX_TEXT + 1)
    return data.decode('utf-8-sig')
