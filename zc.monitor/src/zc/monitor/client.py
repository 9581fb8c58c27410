"""Asking a monitor server, from Python."""
import codecs
import errno
import socket
import time
from collections.abc import Iterator

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.addresses import parse_address


def ask(
        address: AnyAddress, line: str, timeout: float | None = 10.0) -> str:
    """Send a command to a monitor server, and return its whole answer.

    ``timeout`` is in seconds and for all of it. Raises OSError, which names
    the address, when the server can't be reached, or leaves early
    (ConnectionError) or doesn't finish in time (TimeoutError).
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    return ''.join(
        _exchange(parse_address(address), _checked(line), timeout, deadline))


def stream(
        address: AnyAddress, line: str,
        timeout: float | None = None) -> Iterator[str]:
    """Send a command to a monitor server, and yield its answer in pieces.

    They come as they arrive, whatever their size. ``timeout`` is the longest
    silence, in seconds. Raises the same as `ask`.
    """
    return _exchange(parse_address(address), _checked(line), timeout, None)


def _checked(line: str) -> bytes:
    if '\n' in line:
        raise ValueError(f'{line!r}: a command is one line')
    return line.encode('utf-8') + b'\n'


def _exchange(
        address: Address, line: bytes, timeout: float | None,
        deadline: float | None) -> Iterator[str]:
    try:
        with _connect(address, timeout) as sock:
            sock.sendall(line)
            # We have no more to say, so that nobody waits for us, not even
            # after "interactive".
            sock.shutdown(socket.SHUT_WR)
            yield from _receive(sock, deadline)
    except OSError as error:
        raise _named(error, format_address(address)) from error


def _named(error: OSError, address: str) -> OSError:
    """Return an error of the same kind that names the address."""
    if isinstance(error, TimeoutError):
        return TimeoutError(
            errno.ETIMEDOUT, 'No answer in the time allowed', address)
    return OSError(
        error.errno or errno.EINVAL, error.strerror or str(error), address)


def _connect(address: Address, timeout: float | None) -> socket.socket:
    if not isinstance(address, str):
        host, port = address
        return socket.create_connection((host or 'localhost', port), timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _receive(sock: socket.socket, deadline: float | None) -> Iterator[str]:
    decode = codecs.getincrementaldecoder('utf-8')('replace').decode
    data = b'more'
    while data:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        data = sock.recv(64 * 1024)
        text = decode(data, final=not data)
        if text:
            yield text
