"""Log rotation: open log files anew, and tell the verb that asked for it.

The verb ``logreopen`` signals the server, and waits at a datagram socket
beside the pid file for what each of its processes has to say.  A process looks
for such sockets after it has opened its files.  So nothing need be written to
a disk, which may be full just then.
"""
from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Iterable
from typing import Protocol

from zc.zkzopeserver import logconfig

# Between the name of the pid file and what tells one verb from another.
INFIX = '.reopened-'

# How many files that failed are told, and how much of each.
TOLD = 20
TOLD_CHARS = 300

DATAGRAM_BYTES = 1 << 16

# struct ucred of unix(7): pid, uid, gid.
_UCRED = struct.Struct('3i')

# The pid file of this server, without its suffix; None without verbs.
_base: str | None = None


class HasLogs(Protocol):
    """A service with log files of its own."""

    def reopen_logs(self) -> list[str]:
        """Open them anew; return what failed, a text for each file."""


def answer_beside(pid_file: str) -> None:
    """Have this process answer the verbs of the server of a pid file."""
    global _base
    _base = base_of(pid_file)


def base_of(pid_file: str) -> str:
    """Return the path of a pid file without its suffix."""
    return os.path.splitext(pid_file)[0]


def reopen(services: Iterable[HasLogs]) -> None:
    """Open the log files of this process and of services anew; say so."""
    failed = logconfig.reopen()
    for service in services:
        failed += service.reopen_logs()
    logconfig.logger.info('log files opened anew')
    if _base is not None:
        answer(_base, failed)


def answer(base: str, failed: list[str]) -> None:
    """Tell the verbs that wait beside a pid file what has failed here."""
    folder, name = os.path.split(base)
    said = json.dumps([text[:TOLD_CHARS] for text in failed[:TOLD]]).encode()
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            if entry.startswith(name + INFIX):
                _send(os.path.join(folder, entry), said)


def _send(path: str, said: bytes) -> None:
    with contextlib.suppress(OSError), \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        try:
            sock.sendto(said, path)
        except ConnectionRefusedError:
            # A verb that was killed has left it.
            os.unlink(path)


class Answers:
    """The verb's end: a socket beside the pid file, while a ``with`` lasts.

    OSError when there cannot be one, as where the path is too long (unix(7))
    or the kernel does not tell who sends.
    """

    def __init__(self, pid_file: str) -> None:
        self._path = base_of(pid_file) + INFIX + os.urandom(4).hex()
        if not hasattr(socket, 'SO_PASSCRED'):
            raise OSError('no SO_PASSCRED here')
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Any user may send, and the kernel tells which process did.  No
        # chmod: a symbolic link might have taken the socket's place.
        old = os.umask(0o111)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(self._path)
        except OSError:
            self._socket.close()
            raise
        finally:
            os.umask(old)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def receive(self, deadline: float) -> tuple[int, list[str]] | None:
        """Return (pid, what has failed) of a process; None at the deadline.

        The deadline is on the clock of `time.monotonic`.
        """
        while (left_s := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                said, ancillary, _, _ = self._socket.recvmsg(
                    DATAGRAM_BYTES, socket.CMSG_SPACE(_UCRED.size))
            except TimeoutError:
                return None
            for _, kind, data in ancillary:
                if kind == getattr(socket, 'SCM_CREDENTIALS', 2):
                    with contextlib.suppress(ValueError, RecursionError):
                        return (_UCRED.unpack(data[:_UCRED.size])[0],
                                [str(text) for text in json.loads(said)])
        return None
