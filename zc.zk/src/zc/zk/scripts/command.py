"""The common part of the commands: options, credentials, errors, status."""
import argparse
import contextlib
import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from zc.zk.client import DEFAULT_VARIABLE
from zc.zk.client import ZooKeeper
from zc.zk.errors import FailedConnect
from zc.zk.errors import LinkLoop
from zc.zk.printable import printable
from zc.zk.printable import printable_lines
from zc.zk.scripts.connectionword import with_connection
from zc.zk.scripts.files import flush_stdout
from zc.zk.sync.applier import MAX_REQUEST_BYTES
from zc.zk.sync.applier import ApplyError
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import Change
from zc.zk.tree import TreeError

#: The least --max-node-size.
MIN_NODE_SIZE = 1024

#: The deletions that need no confirmation.
MAX_DELETES = 50

#: Exit statuses: an error, and SIGINT (128 + 2, as the shell has it).
TROUBLE = 2
INTERRUPTED = 130

#: The most bytes of an auth file that are read.
MAX_AUTH_FILE_BYTES = 2 ** 16


class Failure(Exception):
    """A command cannot go on; the text, for the user, says why."""


Main = Callable[[argparse.Namespace], int | None]


def run(parser: argparse.ArgumentParser, main: Main,
        args: Sequence[str] | None) -> int | None:
    """Parse the arguments and call `main`; return its exit status.

    Print an exception as lines on standard error, and exit.
    """
    words = sys.argv[1:] if args is None else list(args)
    options = parser.parse_intermixed_args(with_connection(parser, words))
    _log()
    interrupts: list[int] = []
    try:
        with _noting_interrupts(interrupts):
            status = main(options)
            flush_stdout()
            return status
    except BrokenPipeError:
        sys.exit(TROUBLE)  # the reader of a pipe, as head(1), has ended
    except (KeyboardInterrupt, *ERRORS) as error:
        for line in printable_lines(error_text(error)):
            print(f'{parser.prog}: {line}', file=sys.stderr)
        is_interrupted = interrupts or isinstance(error, KeyboardInterrupt)
        sys.exit(INTERRUPTED if is_interrupted else TROUBLE)


@contextlib.contextmanager
def _noting_interrupts(interrupts: list[int]) -> Iterator[None]:
    """Append each SIGINT to `interrupts`.

    A KeyboardInterrupt in kazoo's code may end up as a lost connection.
    """
    def interrupt(number: int, frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    if (threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) == signal.SIG_IGN):
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return an argument parser for the command `name`."""
    return argparse.ArgumentParser(
        prog=name, description=description,
        epilog='The exit status is 2 after an error.')


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where ZooKeeper is, and how to connect."""
    parser.add_argument(
        'connection', metavar='CONNECTION', type=_connection,
        help='HOST:PORT[,HOST:PORT...][/CHROOT]; may be left out where the'
             f' environment variable {DEFAULT_VARIABLE} has it')
    group = parser.add_argument_group('connection')
    group.add_argument(
        '--auth-file', metavar='FILE',
        help='file with lines "digest USER:PASSWORD"; its mode must be 0600 or'
             ' stricter')
    group.add_argument(
        '--ca', metavar='FILE',
        help='use TLS, and trust the certificate authorities in this PEM file')
    group.add_argument(
        '--cert', metavar='FILE',
        help='use TLS, with the client certificate in this PEM file')
    group.add_argument(
        '--key', metavar='FILE',
        help='PEM file with the key of the client certificate')
    group.add_argument(
        '--session-timeout', metavar='SECONDS', type=positive_seconds,
        default=10.0,
        help='session timeout, in seconds (default: 10)')


@contextlib.contextmanager
def connected(options: argparse.Namespace) -> Iterator[ZooKeeper]:
    """Connect as the options of `add_connection` say; close at the end."""
    with open_connection(options) as zk:
        yield zk


def open_connection(options: argparse.Namespace,
                    wait: bool | Callable[[], bool] = False) -> ZooKeeper:
    """Connect as the options of `add_connection` say.

    See `zc.zk.ZooKeeper` for `wait`.
    """
    auth = read_credentials(options.auth_file) if options.auth_file else None
    return ZooKeeper(options.connection, options.session_timeout, wait,
                     auth=auth, ca=options.ca, cert=options.cert,
                     key=options.key)


def read_credentials(path: str) -> list[tuple[str, str]]:
    """Return the credentials of a file, as pairs of scheme and credential.

    A line is ``digest USER:PASSWORD``. Empty lines and lines that begin with
    ``#`` are skipped. Raise ValueError for any other line, and when the mode
    of the file lets other users read or change it. No message has text of the
    file.
    """
    with open(path, 'rb') as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        data = file.read(MAX_AUTH_FILE_BYTES)
    if mode & 0o077:
        raise ValueError(
            f'{path}: others may read or change it (mode {mode:04o});'
            ' it must be 0600 or stricter')
    try:
        lines = data.decode('utf-8').splitlines()
    except UnicodeDecodeError:
        raise ValueError(f'{path}: this is not UTF-8 text') from None
    found = [_credential(path, number, line.strip())
             for number, line in enumerate(lines, 1)
             if line.strip() and not line.lstrip().startswith('#')]
    if not found:
        raise ValueError(f'{path}: there is no line digest USER:PASSWORD')
    return found


def add_skip_unreadable(parser: argparse.ArgumentParser, then: str) -> None:
    """Add the option for nodes that we may not read; `then` ends its help."""
    parser.add_argument(
        '--skip-unreadable', action='store_true',
        help=f'go on at nodes that we may not read, and {then}')


def add_max_node_size(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which nodes are too large."""
    parser.add_argument(
        '--max-node-size', metavar='BYTES', type=_bytes,
        default=MAX_REQUEST_BYTES,
        help="refuse nodes that need larger requests: the servers'"
             f' jute.maxbuffer (default: {MAX_REQUEST_BYTES}, as theirs)')


def add_max_deletes(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how many deletions need no confirmation."""
    parser.add_argument(
        '--max-deletes', metavar='N', type=count, default=MAX_DELETES,
        help='before deleting more nodes than this, ask on the terminal, or'
             f' give up without one (default: {MAX_DELETES})')


def count(text: str) -> int:
    """Return a number from 0; a type for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is not a number')
    return int(text)


def counted(number: int, thing: str) -> str:
    """Return the number of things in words: ``1 node``, ``2 nodes``."""
    return f'{number} {thing}{"" if number == 1 else "s"}'


def check_deletes(changes: Iterable[Change], most: int) -> None:
    """Ask on the terminal before more than `most` nodes are deleted.

    Raise Failure after any answer but yes, and without a terminal.
    """
    number = sum(change.kind == DELETE_NODE for change in changes)
    if number <= most:
        return
    nodes = counted(number, 'node')
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f'{nodes} would be deleted, more than --max-deletes'
                      f' {most}; nothing was changed')
    flush_stdout()
    print(f'{nodes} will be deleted. Go on? [y/N] ', end='',
          file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
        raise Failure('nothing was changed')


def node_path(text: str) -> str:
    """Return the absolute path of a node; a type for argparse."""
    if not text.startswith('/'):
        raise argparse.ArgumentTypeError(
            f'{text!r}: the path of a node begins with /')
    return text.rstrip('/') or '/'


def _credential(path: str, number: int, line: str) -> tuple[str, str]:
    scheme, _, credential = line.partition(' ')
    user, _, password = credential.strip().partition(':')
    if scheme != 'digest' or not user or not password:
        raise ValueError(
            f'{path}: line {number} is not digest USER:PASSWORD')
    return scheme, credential.strip()


def _log() -> None:
    """Log warnings, without kazoo's: `run` prints what fails."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.levelno >= logging.ERROR
                      or not record.name.startswith('kazoo'))
    logging.basicConfig(level=logging.WARNING, handlers=[handler],
                        format='%(levelname)s %(message)s')


def seconds(text: str) -> float:
    """Return a number of seconds, from 0 to a day; a type for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86400:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds up to 86400')
    return number


def positive_seconds(text: str) -> float:
    """Return a number of seconds above 0, up to a day."""
    number = seconds(text)
    if not number:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds above 0')
    return number


def _bytes(text: str) -> int:
    if not text.isdecimal() or not MIN_NODE_SIZE <= int(text) < 2 ** 31:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of bytes from {MIN_NODE_SIZE} to'
            f' {2 ** 31 - 1}')
    return int(text)


def _connection(text: str) -> str:
    """Refuse an empty text, which would mean the default servers."""
    if not text.strip():
        raise argparse.ArgumentTypeError('it is empty')
    return text


def error_text(error: BaseException) -> str:
    """Return the lines that tell the user of one of ERRORS."""
    if isinstance(error, KeyboardInterrupt):
        return str(error)
    if isinstance(error, NoNodeError):
        return f'there is no node {printable(error)}'
    if isinstance(error, NoAuthError):
        return '\n'.join(f'not allowed: {printable(line)}'
                         for line in str(error).split('\n'))
    if isinstance(error, OSError) and error.filename:
        return f'{error.filename}: {error.strerror}'
    if isinstance(error, (KazooException, KazooTimeoutError)):
        return f'{type(error).__name__} {printable(error)}'.strip()
    return str(error) or type(error).__name__


#: The exceptions that are told in lines, and not as a traceback.
ERRORS = (Failure, TreeError, ApplyError, FailedConnect, LinkLoop,
          KazooException, KazooTimeoutError, OSError, ValueError)
