"""Clients: send a command to a monitor server, from Python."""
import codecs
import errno
import socket
import time
from collections.abc import Iterator

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.addresses import parse_address

#: The longest answer that `ask` returns, in bytes.
MAX_ANSWER_BYTES = 16 * 1024 * 1024


def ask(
        address: AnyAddress, line: str, timeout: float | None = 10.0,
        limit: int = MAX_ANSWER_BYTES) -> str:
    """Send the command `line` to a monitor server; return the whole answer.

    `timeout` is in seconds, for connecting and the answer together; None
    waits without limit. `limit` is in bytes. Raise ValueError if `line`
    contains a line end. Raise OSError, whose text names the address:
    ConnectionError if the server refuses or resets the connection,
    TimeoutError after `timeout`, OSError with EMSGSIZE beyond `limit`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    return ''.join(_exchange(
        parse_address(address), _encode_line(line), timeout, deadline, limit))


def stream(
        address: AnyAddress, line: str,
        timeout: float | None = None) -> Iterator[str]:
    """Send the command `line` to a monitor server; yield pieces of the answer.

    A piece is yielded as soon as it arrives; its size means nothing.
    `timeout` is the longest time without a piece, in seconds; None waits
    without limit. Raise as `ask` does.
    """
    return _exchange(parse_address(address), _encode_line(line), timeout, None)


def _encode_line(line: str) -> bytes:
    if '\n' in line:
        raise ValueError(f'{line!r}: a command is one line')
    return line.encode('utf-8') + b'\n'


def _exchange(
        address: Address, line: bytes, timeout: float | None,
        deadline: float | None, limit: int | None = None) -> Iterator[str]:
    try:
        with _connect(address, timeout) as sock:
            sock.sendall(line)
            # The server waits for no further command, not even after
            # "interactive".
            sock.shutdown(socket.SHUT_WR)
            yield from _receive(sock, deadline, limit)
    except OSError as error:
        raise _with_address(error, format_address(address)) from error


def _with_address(error: OSError, address: str) -> OSError:
    """Return an error of the same class whose text names the address."""
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


def _receive(
        sock: socket.socket, deadline: float | None,
        limit: int | None) -> Iterator[str]:
    decode = codecs.getincrementaldecoder('utf-8')('replace').decode
    data = b'more'
    received = 0
    while data:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        data = sock.recv(64 * 1024)
        received += len(data)
        if limit is not None and received > limit:
            raise OSError(
                errno.EMSGSIZE, f'The answer is longer than {limit} bytes')
        text = decode(data, final=not data)
        if text:
            yield text
