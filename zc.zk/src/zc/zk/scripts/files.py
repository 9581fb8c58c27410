"""Trees in files, and standard input and output."""
import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator

from zc.zk.tree import MAX_TEXT
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree import parse_tree

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

PIECE_CHARACTERS = 2 ** 16

#: How long it takes until a progress bar appears.
PROGRESS_DELAY_S = 1.0

STDIN, STDOUT = 'standard input', 'standard output'


def read_file_tree(path: str) -> Node:
    """Return the tree in a file, ``-`` for standard input.

    Raises ValueError, with a line for each problem.
    """
    name = STDIN if path == '-' else path
    try:
        return parse_tree(_read(path))
    except TreeError as error:
        raise ValueError('\n'.join(
            f'{name}: {line}' for line in str(error).splitlines())) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{name}: not UTF-8 text: {error.reason} at byte {error.start}'
        ) from None


def write_output(text: str, path: str | None) -> None:
    """Write to a file, all or nothing, or to standard output.

    Both get UTF-8, whatever the locale.
    """
    if path is None or path == '-':
        write_stdout(text)
    else:
        write_atomically(text, path)


def write_stdout(text: str) -> None:
    """Write to standard output, in UTF-8 where its encoding is too small."""
    with _naming(STDOUT):
        _write_stdout(text)


def flush_stdout() -> None:
    """Have written what was written to standard output."""
    with _naming(STDOUT):
        if sys.stdout is not None:
            sys.stdout.flush()


@contextlib.contextmanager
def progress(what: str, total: int | None = None
             ) -> Iterator[Callable[[int], None] | None]:
    """A function to be called with what is done so far, or None.

    The bar appears on a terminal after a second, and goes at the end.
    """
    if tqdm is None or not sys.stderr.isatty():
        yield None
        return
    with tqdm(desc=what, total=total, unit='', unit_scale=True, leave=False,
              delay=PROGRESS_DELAY_S, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.n)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Have errors name a file as the user knows it."""
    try:
        yield
    except OSError as error:
        if name == STDOUT:
            # Python would try again at its end, and say so.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, name) from None


def _write_stdout(text: str) -> None:
    if sys.stdout is None:  # closed by whoever started us
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        text.encode(getattr(sys.stdout, 'encoding', None) or 'utf-8')
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode('utf-8', 'backslashreplace'))
    else:
        # In pieces: without a buffer, the rest of a piece that a pipe does
        # not take is lost silently.
        for start in range(0, len(text), PIECE_CHARACTERS):
            sys.stdout.write(text[start:start + PIECE_CHARACTERS])


def write_atomically(text: str, path: str, mode: int | None = None) -> None:
    """Replace a file, or make it; `mode` is by default that of any file."""
    with _naming(path):
        _write_atomically(text, path, mode)


def _write_atomically(text: str, path: str, mode: int | None) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        # Such as /dev/stdout or a pipe, which must not be replaced.
        with open(path, 'w', encoding='utf-8', newline='') as file:
            file.write(text)
        return
    path = os.path.realpath(path)
    if mode is None:
        mode = _mode(path)
    folder, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(
        prefix=f'.{name[:100]}.', suffix='.new', dir=folder)
    try:
        with open(handle, 'w', encoding='utf-8', newline='') as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: str) -> int:
    """The mode of a file that is there, or of a new one."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return 0o666 & ~umask


def _read(path: str) -> str:
    # One character more than is read, for the parser to say so.
    if path == '-':
        if sys.stdin is None:  # closed by whoever started us
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), STDIN)
        stdin = getattr(sys.stdin, 'buffer', None)
        if stdin is None:
            return sys.stdin.read(MAX_TEXT + 1)
        data = stdin.read(MAX_TEXT + 1)
    else:
        with open(path, 'rb') as file:
            data = file.read(MAX_TEXT + 1)
    return data.decode('utf-8-sig')
