"""Ask servers how they are: their monitor servers, or their ports alone.

Properties come from whoever may write into the tree. So a server is asked
only where its own node stands: the host of its monitor must be that of the
node, or else nothing is sent.
"""
from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zc.zk.addresses import parse_server_addr
from zc.zk.live.until import is_server
from zc.zk.printable import printable
from zc.zk.tree import Node

#: The time between two questions to a server, and how long it may take.
INTERVAL_S = 5.0
ANSWER_S = 2.0
MAX_ANSWER_BYTES = 2 ** 16

#: A minute of samples.
SAMPLES = 12

#: The most servers that are asked, and at once.
MAX_SERVERS = 500
AT_ONCE = 8

#: What is told of a server, with the names of its monitor's ``status json``.
NUMBERS = 'in_flight', 'queued', 'busy_threads', 'threads'


class Health:
    """The answers of the servers of a tree, each with a minute of history.

    The servers are asked in threads, every INTERVAL_S, for as long as
    `latest` is called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, deque[dict[str, Any]]] = {}
        self._told = ''
        self._round_at = 0.0
        self._is_asking = False

    def latest(self, tree: Node | None, path: str) -> str:
        """Return what is known, as JSON; begin a round when it is time.

        `tree` is the node at `path`; None when there is none.

        It is an object by path. Each value is a list of samples, the newest
        last: ``state`` (text), ``at`` (milliseconds since the epoch), and,
        of a monitor, NUMBERS.
        """
        with self._lock:
            if (not self._is_asking and tree is not None
                    and time.monotonic() - self._round_at >= INTERVAL_S):
                self._is_asking = True
                self._round_at = time.monotonic()
                threading.Thread(
                    target=self._ask_all, args=(dict(_servers(tree, path)),),
                    name='zc.zk.view.health', daemon=True).start()
            return self._told

    def _ask_all(self, servers: dict[str, Node]) -> None:
        try:
            with ThreadPoolExecutor(AT_ONCE, 'zc.zk.view.ask') as pool:
                answers = dict(zip(servers, pool.map(ask, servers.values()),
                                   strict=True))
        finally:
            with self._lock:
                self._is_asking = False
        with self._lock:
            self._samples = {
                path: self._samples.get(path, deque(maxlen=SAMPLES))
                for path in answers}
            for path, answer in answers.items():
                self._samples[path].append(answer)
            self._told = json.dumps(
                {path: list(samples)
                 for path, samples in self._samples.items()})


def _servers(tree: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Yield (path, node) of at most MAX_SERVERS servers, by path."""
    stack = [(path.rstrip('/'), tree)]
    count = 0
    while stack and count < MAX_SERVERS:
        path, node = stack.pop()
        if is_server(node):
            count += 1
            yield path, node
        stack += [(f'{path}/{name}', node.children[name])
                  for name in sorted(node.children, reverse=True)]


def ask(node: Node) -> dict[str, Any]:
    """Ask one server; return a sample, see `Health.latest`.

    ``state`` is what its monitor says, or ``'accepts'`` where only the port
    was tried, or else why there is no answer.
    """
    sample: dict[str, Any] = {'at': round(time.time() * 1000)}
    address = None
    try:
        if 'monitor' in node.properties:
            address = _monitor(node)
            if address is None:
                return {**sample, 'state': 'not asked: its monitor is on'
                        ' another host'}
        if address is None:
            with socket.create_connection(
                    parse_server_addr(node.name), ANSWER_S):
                return {**sample, 'state': 'accepts'}
        told = json.loads(_exchange(address))
    except TimeoutError:
        return {**sample, 'state': 'no answer'}
    except OSError as error:
        return {**sample, 'state': printable(error.strerror or error, 100)}
    except (ValueError, RecursionError):
        return {**sample, 'state': 'no status in its answer'}
    if not isinstance(told, dict):
        return {**sample, 'state': 'no status in its answer'}
    sample['state'] = printable(told.get('state', 'unknown'), 40)
    sample |= {name: told[name] for name in NUMBERS
               if type(told.get(name)) is int and 0 <= told[name] < 2 ** 31}
    return sample


def _monitor(node: Node) -> tuple[str, int] | None:
    """Return where the monitor of a server is; None if on another host."""
    try:
        address = parse_server_addr(str(node.properties['monitor']))
    except ValueError:
        # Such as the path of a unix socket.
        return None
    return (address if address[0] == parse_server_addr(node.name)[0]
            else None)


def _exchange(address: tuple[str, int]) -> bytes:
    deadline = time.monotonic() + ANSWER_S
    with socket.create_connection(address, ANSWER_S) as connection:
        connection.sendall(b'status json\n')
        connection.shutdown(socket.SHUT_WR)
        answer = b''
        while len(answer) < MAX_ANSWER_BYTES:
            rest_s = deadline - time.monotonic()
            if rest_s <= 0:
                raise TimeoutError
            connection.settimeout(rest_s)
            data = connection.recv(MAX_ANSWER_BYTES)
            if not data:
                return answer
            answer += data
    raise ValueError('the answer is too long')
