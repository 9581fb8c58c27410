"""Ask servers by a TCP connect, many at once, whether they accept."""
from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Mapping
from typing import cast

from zc.zk.servers.hold import Answer

#: The time that servers have to accept a connection.
ASK_TIMEOUT_S = 1.0

#: The most connections that are open at the same time.
MAX_OPEN = 256

#: Errors of connect(2) that only the host of the address can cause.
REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET)

#: An IP address and a port.
Address = tuple[str, int]


def ask(addresses: Mapping[str, Address],
        timeout: float = ASK_TIMEOUT_S) -> dict[str, Answer]:
    """Connect to all addresses; return what each answers, by its key.

    The hosts are IP addresses: no name is resolved here. Nothing is sent.
    Takes `timeout` seconds at most for each `MAX_OPEN` addresses.
    """
    answers: dict[str, Answer] = {}
    todo = list(addresses.items())
    for start in range(0, len(todo), MAX_OPEN):
        answers.update(_ask(dict(todo[start:start + MAX_OPEN]), timeout))
    return answers


def _ask(addresses: Mapping[str, Address],
         timeout: float) -> dict[str, Answer]:
    answers = dict.fromkeys(addresses, Answer.SILENT)
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for key, address in addresses.items():
            sock = _socket(address)
            if sock is None:
                continue  # no descriptors, or no IPv6: that tells nothing
            stack.callback(sock.close)
            error = sock.connect_ex(address)
            if error == errno.EINPROGRESS:
                selector.register(sock, selectors.EVENT_WRITE, key)
            else:
                answers[key] = _answer(sock, error)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            events = selector.select(max(remaining, 0))
            for selected, _ in events:
                sock = cast(socket.socket, selected.fileobj)
                selector.unregister(sock)
                answers[selected.data] = _answer(sock, sock.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ERROR))
            if remaining <= 0 and not events:
                break
    return answers


def _socket(address: Address) -> socket.socket | None:
    family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    sock.setblocking(False)
    return sock


def _answer(sock: socket.socket, error: int) -> Answer:
    """Return what the outcome of a connect(2) means; 0 is a connection."""
    if error:
        return Answer.REFUSED if error in REFUSALS else Answer.SILENT
    try:
        # A connection from a port of this machine to the same port, where no
        # process listens, is connected to itself (RFC 9293, section 3.5,
        # "simultaneous open").
        is_itself = sock.getsockname() == sock.getpeername()
    except OSError:
        return Answer.SILENT
    return Answer.REFUSED if is_itself else Answer.ACCEPTED
