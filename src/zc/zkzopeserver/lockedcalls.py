"""Calls of the system that keep Python's lock (the GIL).

Python gives its lock away for each call of the system, and a thread that has
given it away waits for those that compute: 2 ms for each of them, see
`zope.server.switching`.  An answer takes six calls.  These, through
`ctypes.PyDLL`, keep the lock, which is right only for calls that never wait.

On Linux with 64 bits; elsewhere the calls are Python's own.
"""
from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

try:
    import ctypes
except ImportError:
    # An interpreter that was built without libffi.
    ctypes = None  # type: ignore[assignment]

# statx(2): where the structure has the size of the file, the flag and the
# mask that ask for it, and the size of the structure.
SIZE_AT = 40
AT_FDCWD = -100
STATX_SIZE = 0x200
STATX_BYTES = 256
FLAGS = socket.MSG_DONTWAIT | getattr(socket, 'MSG_NOSIGNAL', 0)


def library() -> Any:
    """Return the functions of the C library; None where they are not used."""
    # With 32 bits, how wide an offset is depends on the C library.
    if ctypes is None or sys.platform != 'linux' or sys.maxsize < 2 ** 32:
        return None
    try:
        found = ctypes.PyDLL(None, use_errno=True)
    except OSError:
        # An interpreter that is linked statically cannot load libraries.
        return None
    integer, size, text = ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
    pointer, signed = ctypes.c_void_p, ctypes.c_ssize_t
    try:
        for name, result, arguments in (
                ('accept4', integer, (integer, pointer, pointer, integer)),
                ('recv', signed, (integer, text, size, integer)),
                ('send', signed, (integer, text, size, integer)),
                ('shutdown', integer, (integer, integer)),
                ('pread', signed, (integer, text, size, ctypes.c_longlong)),
                ('statx', integer, (integer, text, integer, ctypes.c_uint,
                                    text))):
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError:
        return None
    return found


LIBRARY = library()


def checked(result: int) -> int:
    """Return what a call has returned; raise OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def accept(listener: socket.socket) -> socket.socket:
    """Return the next connection; raise OSError, BlockingIOError for none."""
    if LIBRARY is None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        return sock
    return socket.socket(
        listener.family, listener.type, listener.proto,
        checked(LIBRARY.accept4(
            listener.fileno(), None, None,
            socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)))


def receive(sock: socket.socket, size: int) -> bytes:
    """Return what has come, at most `size` bytes; raise as `accept`."""
    if LIBRARY is None:
        return sock.recv(size)
    buffer = ctypes.create_string_buffer(size)
    count = checked(LIBRARY.recv(sock.fileno(), buffer, size, FLAGS))
    return buffer.raw[:count]


def send(sock: socket.socket, data: bytes) -> int:
    """Send; return how many bytes were taken; raise as `accept`."""
    if LIBRARY is None:
        return sock.send(data)
    return checked(LIBRARY.send(sock.fileno(), data, len(data), FLAGS))


def end(sock: socket.socket) -> None:
    """Tell the other end that nothing follows."""
    if LIBRARY is None:
        sock.shutdown(socket.SHUT_WR)
    else:
        checked(LIBRARY.shutdown(sock.fileno(), socket.SHUT_WR))


def read_start(fd: int, size: int) -> bytes:
    """Return the first bytes of an open file."""
    if LIBRARY is None:
        return os.pread(fd, size, 0)
    buffer = ctypes.create_string_buffer(size)
    count = checked(LIBRARY.pread(fd, buffer, size, 0))
    return buffer.raw[:count]


def size_of(path: str) -> int:
    """Return the size of a file, as stat(2) tells it."""
    if LIBRARY is None:
        return os.stat(path).st_size
    buffer = ctypes.create_string_buffer(STATX_BYTES)
    checked(LIBRARY.statx(AT_FDCWD, os.fsencode(path), 0, STATX_SIZE, buffer))
    [size] = struct.unpack_from('=Q', buffer, SIZE_AT)
    return size
