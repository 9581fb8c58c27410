"""Listening sockets, bound so that nobody else's are disturbed."""
import contextlib
import errno
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.addresses import parse_address

try:
    import fcntl
except ImportError:  # No unix sockets there either.
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger('zc.monitor')

BACKLOG = 128


class ListenError(OSError):
    """It is not possible to listen on an address.

    The text names the address and says why not; ``errno`` is the system's,
    ``EADDRINUSE`` when the address is taken.
    """

    def __init__(self, number: int, address: object, reason: str) -> None:
        super().__init__(number, f'cannot listen on {address}: {reason}')

    def __str__(self) -> str:
        return str(self.strerror)


class Bound:
    """A listening socket, its true address, and its file if it has one."""

    def __init__(
            self, sock: socket.socket, address: Address,
            path: str | None = None) -> None:
        self.sock = sock
        self.address = address
        self._path = path
        self._file = path and _identity(path)
        self._pid = os.getpid()

    def close(self) -> None:
        """Stop listening, and remove the socket file if it is still ours.

        The file goes first: as long as the socket is open, its inode can't
        be given to another file.
        """
        path, self._path = self._path, None
        if path and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                if _identity(path) == self._file:
                    os.unlink(path)
        self.sock.close()


def listen(address: AnyAddress) -> Bound:
    """Listen on an address, or raise `ListenError`.

    The address of the result has the port that the system picked when 0 was
    asked for, and the host as it was given.
    """
    try:
        parsed = parse_address(address)
    except ValueError as error:
        raise ListenError(errno.EINVAL, repr(address), str(error)) from None
    try:
        if isinstance(parsed, str):
            return _listen_unix(parsed)
        return _listen_tcp(*parsed)
    except ListenError:
        raise
    except OSError as error:
        raise _explained(error, parsed) from error


def _explained(error: OSError, address: Address) -> ListenError:
    text = format_address(address)
    if error.errno == errno.EADDRINUSE:
        return ListenError(errno.EADDRINUSE, text, 'the address is taken')
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return ListenError(errno.EADDRNOTAVAIL, text, reason)
    return ListenError(error.errno or errno.EINVAL, text, reason)


def _listen_tcp(host: str, port: int) -> Bound:
    family, bindable = _resolve(host, port)
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        if os.name == 'posix':
            # On Windows this would share the port with whoever has it.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(bindable)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        undo.pop_all()
    return Bound(sock, (host, sock.getsockname()[1]))


def _resolve(host: str, port: int) -> tuple[int, tuple]:
    if not host:
        return socket.AF_INET, ('', port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(errno.EADDRNOTAVAIL, 'not a host name') from error
    # A name that has both is bound where it always was: on IPv4.
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _listen_unix(path: str) -> Bound:
    place = os.path.abspath(path)  # The process may change its directory.
    with _alone(os.path.dirname(place)), contextlib.ExitStack() as undo:
        _remove_stale(place)
        sock = undo.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        _bind_private(sock, place)
        undo.callback(os.unlink, place)
        if stat.S_IMODE(os.lstat(place).st_mode) != 0o600:
            os.chmod(place, 0o600)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        bound = Bound(sock, path, place)
        undo.pop_all()
    return bound


def _bind_private(sock: socket.socket, path: str) -> None:
    """Bind with mode 0600, whatever the umask, where the system can.

    Linux gives the file the mode of the socket. Elsewhere the caller changes
    it: nobody can connect before the socket listens.
    """
    with contextlib.suppress(OSError):
        os.fchmod(sock.fileno(), 0o600)
    sock.bind(path)


def _remove_stale(path: str) -> None:
    """Make room at path, unless somebody uses what is there."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            errno.EEXIST, path, 'there is a file that is not a socket')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except PermissionError as error:
            raise ListenError(
                errno.EACCES, path, "there is somebody else's socket"
            ) from error
        except OSError:  # Too busy to answer, but somebody is there.
            logger.debug('%s: no room in the backlog', path, exc_info=True)
    raise ListenError(errno.EADDRINUSE, path, 'the address is taken')


@contextlib.contextmanager
def _alone(folder: str, patience: float = 2.0) -> Iterator[None]:
    """Let one process at a time look for and replace a stale socket.

    Else, of two that start at once, one could remove the other's file
    between its bind and its listen. A folder that can't be locked is used
    without.
    """
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + patience
        while not _lock(fd) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # Not a file system with locks.
    return True


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
