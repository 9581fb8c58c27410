"""The option `ready`: ask the application through the server's socket."""
from __future__ import annotations

import http.client
import io
import logging
import socket
import threading
import time
import types
from collections.abc import Mapping
from typing import NamedTuple

from zc.zk.printable import printable
from zope.server.networks import Networks

from zc.zkzopeserver.errors import ReadyError
from zc.zkzopeserver.options import Options

logger = logging.getLogger('zc.zkzopeserver.readiness')

# Seconds between two attempts.
INTERVAL_S = 0.1

# How much of an answer is read: http.client takes 100 fields of 64 KiB each.
ANSWER_BYTES = 8 * 1024 * 1024

# How much of what is wrong with it is told, in characters.
SHOWN = 200

# What a proxy sends that speaks for itself, with `proxy_protocol`.
PROXY_HEADER = b'PROXY UNKNOWN\r\n'


class Question(NamedTuple):
    """How a server is asked.

    `fields` are the header fields.  Peers in `proxies`, networks separated by
    commas, have to begin with a PROXY header.
    """

    fields: Mapping[str, str] = types.MappingProxyType({})
    proxies: str = ''


PLAIN = Question()


def question(options: Options) -> Question:
    """Return how a server with these options is asked."""
    fields = {} if options.probe_host is None else {'Host': options.probe_host}
    if options.probe_scheme == 'https':
        if options.trusted_proxy_headers == 'forwarded':
            fields['Forwarded'] = 'proto=https'
        else:
            fields['X-Forwarded-Proto'] = 'https'
    return Question(fields, options.trusted_proxy if options.proxy_protocol
                    else '')


def wait_until_ready(address: tuple[str, int], path: str, timeout_s: float,
                     stopping: threading.Event,
                     way: Question = PLAIN) -> bool:
    """Ask for `path` until it answers 2xx or 3xx.

    Return True then, False when `stopping` was set first.  Raise ReadyError
    with the last answer when `timeout_s` seconds have passed.
    """
    deadline = time.monotonic() + timeout_s
    while not stopping.is_set():
        left = deadline - time.monotonic()
        answer = ask(address, path, max(left, INTERVAL_S), way)
        if isinstance(answer, int) and 200 <= answer < 400:
            logger.info('ready: %s answers %s', path, answer)
            return True
        if time.monotonic() + INTERVAL_S > deadline:
            raise ReadyError(f"option 'ready': {path} did not answer 2xx or"
                             f' 3xx within {timeout_s:g} s; last: {answer}')
        stopping.wait(INTERVAL_S)
    return False


def ask(address: tuple[str, int], path: str, timeout_s: float,
        way: Question = PLAIN) -> int | str:
    """Return the status that a GET of `path` gets, or the error's text.

    `timeout_s` is for all of it, and no more than ANSWER_BYTES are read.
    """
    host, port = address
    if host in ('', '0.0.0.0', '::'):
        # All interfaces: the loopback one is among them.
        host = '::1' if host == '::' else '127.0.0.1'
    deadline = time.monotonic() + timeout_s
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.sock = connect((host, port), deadline)
        if way.proxies and (connection.sock.getsockname()[0]
                            in Networks(way.proxies)):
            connection.sock.sendall(PROXY_HEADER)
        connection.request('GET', path,
                           headers={'Connection': 'close', **way.fields})
        response = http.client.HTTPResponse(
            _Answer(connection.sock, deadline),  # type: ignore[arg-type]
            method='GET')
        response.begin()
        return response.status
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        return printable(str(error) or type(error).__name__, SHOWN)
    finally:
        connection.close()


def connect(address: tuple[str, int], deadline: float) -> socket.socket:
    """Return a socket that is connected to an address; OSError without one.

    The deadline is for all the addresses that a name has, together.
    """
    problem = OSError('the name has no address')
    for family, kind, protocol, _, place in socket.getaddrinfo(
            *address, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.connect(place)
            return sock
        except OSError as error:
            sock.close()
            problem = error
    raise problem


class _Answer(io.RawIOBase):
    """What a socket receives until a deadline, ANSWER_BYTES at most.

    A server may send one byte after the other, or one response 100 (Continue)
    after the other, without end: http.client reads on.  TimeoutError then.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = ANSWER_BYTES

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file that an HTTPResponse reads."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError('timed out')
        if self._left <= 0:
            raise http.client.HTTPException(
                f'no response in the first {ANSWER_BYTES} bytes')
        self._sock.settimeout(left_s)
        count = self._sock.recv_into(buffer[:self._left])
        self._left -= count
        return count
