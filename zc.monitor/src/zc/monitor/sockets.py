"""Listening sockets, bound without disturbing those of other processes."""
import contextlib
import errno
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.addresses import parse_address

if sys.platform != 'win32':  # Python has no unix sockets there either.
    import fcntl

logger = logging.getLogger('zc.monitor')

BACKLOG = 128


class ListenError(OSError):
    """A listener cannot listen on an address.

    The text names the address and the reason. `errno` is the system's,
    ``EADDRINUSE`` when the address is taken.
    """

    def __init__(self, number: int, address: object, reason: str) -> None:
        super().__init__(number, f'cannot listen on {address}: {reason}')

    def __str__(self) -> str:
        return str(self.strerror)


class BoundSocket:
    """A listening socket, its address, and the path of its file, if any."""

    def __init__(
            self, sock: socket.socket, address: Address,
            path: str | None = None) -> None:
        self.sock = sock
        self.address = address
        self._path = path
        self._file = path and _identity(path)
        self._pid = os.getpid()

    def close(self) -> None:
        """Stop listening; remove the socket file if it is still ours.

        The file is removed first: while the socket is open, the system gives
        its inode number to no other file.
        """
        path, self._path = self._path, None
        if path and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                if _identity(path) == self._file:
                    os.unlink(path)
        self.sock.close()


def listen(address: AnyAddress) -> BoundSocket:
    """Listen on an address; raise `ListenError`.

    The result's address has the host as given, and the port that the system
    picked for port 0.
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
        raise _listen_error(error, parsed) from error


def _listen_error(error: OSError, address: Address) -> ListenError:
    text = format_address(address)
    if error.errno == errno.EADDRINUSE:
        return ListenError(errno.EADDRINUSE, text, 'the address is taken')
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return ListenError(errno.EADDRNOTAVAIL, text, reason)
    return ListenError(error.errno or errno.EINVAL, text, reason)


def _listen_tcp(host: str, port: int) -> BoundSocket:
    family, bindable = _resolve(host, port)
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        if os.name == 'posix':
            # On Windows this would share the port with its owner.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(bindable)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        undo.pop_all()
    return BoundSocket(sock, (host, sock.getsockname()[1]))


def _resolve(host: str, port: int) -> tuple[int, tuple]:
    if not host:
        return socket.AF_INET, ('', port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(errno.EADDRNOTAVAIL, 'not a host name') from error
    # A name with addresses of both families is bound on IPv4.
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _listen_unix(path: str) -> BoundSocket:
    place = os.path.abspath(path)  # The process may change its directory.
    folder = os.path.dirname(place)
    with _locked_folder(folder), contextlib.ExitStack() as undo:
        _remove_stale(place)
        sock = undo.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        _bind_owner_only(sock, place)
        undo.callback(os.unlink, place)
        if stat.S_IMODE(os.lstat(place).st_mode) != 0o600:
            os.chmod(place, 0o600)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        bound = BoundSocket(sock, path, place)
        undo.pop_all()
    return bound


def _bind_owner_only(sock: socket.socket, path: str) -> None:
    """Bind with mode 0600, independent of the umask, if the system can.

    Linux gives the file the mode of the socket (unix(7)). On other systems
    the caller changes the mode: no client can connect before ``listen``.
    """
    with contextlib.suppress(OSError):
        os.fchmod(sock.fileno(), 0o600)
    sock.bind(path)


def _remove_stale(path: str) -> None:
    """Remove the socket file of a process that has ended; raise `ListenError`.

    Raise it for a socket that a process listens on, and for other files.
    """
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
        except OSError:  # Its backlog is full, so a process listens.
            logger.debug('%s: no room in the backlog', path, exc_info=True)
    raise ListenError(errno.EADDRINUSE, path, 'the address is taken')


@contextlib.contextmanager
def _locked_folder(folder: str, patience: float = 2.0) -> Iterator[None]:
    """Lock the folder, so that one process at a time replaces a socket file.

    Without the lock, of two processes that start at once, one could remove
    the other's file between its bind and its listen. A folder that cannot be
    locked within `patience` seconds is used without a lock.
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
