"""Four-letter words: what operators ask without a session.

See "The Four Letter Words" in the ZooKeeper Administrator's Guide.
"""
from collections.abc import Callable
from collections.abc import Collection
from typing import Protocol

from zc.zk.embedded.client import Client
from zc.zk.embedded.database import Database

#: The Apache ZooKeeper whose behaviour this server has.
VERSION = '3.9.6-embedded'

#: The number of bytes in a word.
WORD_BYTES = 4


class Latency:
    """The times from the arrival of requests to their answers.

    All are in milliseconds, as ZooKeeper's are.
    """

    def __init__(self) -> None:
        self._count = 0
        self._total = 0.0
        self._least = self._most = 0

    def add(self, seconds: float, count: int) -> None:
        """Note that `count` requests were answered after `seconds`."""
        milliseconds = int(seconds * 1000)
        if not self._count or milliseconds < self._least:
            self._least = milliseconds
        self._most = max(self._most, milliseconds)
        self._count += count
        self._total += milliseconds * count

    def figures(self) -> tuple[int, float, int]:
        """Return the least, the average and the greatest time."""
        average = self._total / self._count if self._count else 0.0
        return self._least, round(average, 4), self._most


class ConnectionStatus(Protocol):
    """A connection, as `cons` shows it; its text is ``HOST:PORT``.

    `received` and `sent` are numbers of packets.
    """

    client: Client
    received: int
    sent: int


class Status(Protocol):
    """A server, as the words show it.

    `tick` is in milliseconds; `received` and `sent` are numbers of packets.
    """

    database: Database
    tick: int
    max_connections: int
    received: int
    sent: int
    latency: 'Latency'

    @property
    def port(self) -> int:
        """The port of the server, 0 while it does not listen."""

    @property
    def connections(self) -> Collection[ConnectionStatus]:
        """The open connections."""


def answer(word: bytes, status: Status) -> bytes | None:
    """Return the answer to a word, None for bytes that are not a word."""
    if word in WORDS:
        return WORDS[word](status).encode()
    return None


def _ruok(status: Status) -> str:
    return 'imok'


def _isro(status: Status) -> str:
    return 'rw'


def _envi(status: Status) -> str:
    return f'Environment:\nzookeeper.version={VERSION}\n'


def _conf(status: Status) -> str:
    sessions = status.database.sessions
    return (
        f'clientPort={status.port}\n'
        f'tickTime={status.tick}\n'
        f'maxClientCnxns={status.max_connections}\n'
        f'minSessionTimeout={sessions.shortest}\n'
        f'maxSessionTimeout={sessions.longest}\n'
        'serverId=0\n')


def _srvr(status: Status) -> str:
    return f'Zookeeper version: {VERSION}\n{_figures(status)}'


def _stat(status: Status) -> str:
    return (
        f'Zookeeper version: {VERSION}\nClients:\n{_cons(status)}'
        f'\n{_figures(status)}')


def _cons(status: Status) -> str:
    lines = [_line(connection) for connection in status.connections]
    return '\n'.join(sorted(lines)) + '\n'


def _mntr(status: Status) -> str:
    database = status.database
    least, average, most = status.latency.figures()
    ephemerals = database.tree.ephemerals.values()
    figures = {
        'version': VERSION,
        'server_state': 'standalone',
        'avg_latency': average,
        'max_latency': most,
        'min_latency': least,
        'num_alive_connections': len(status.connections),
        'outstanding_requests': 0,
        'packets_received': status.received,
        'packets_sent': status.sent,
        'znode_count': len(database.tree),
        'ephemerals_count': sum(map(len, ephemerals)),
        'watch_count': len(database.watches),
        'global_sessions': len(database.sessions),
    }
    return ''.join(
        f'zk_{name}\t{value}\n' for name, value in figures.items())


def _figures(status: Status) -> str:
    return (
        'Latency min/avg/max: {}/{}/{}\n'.format(*status.latency.figures())
        + f'Received: {status.received}\n'
        f'Sent: {status.sent}\n'
        f'Connections: {len(status.connections)}\n'
        'Outstanding: 0\n'
        f'Zxid: {status.database.zxid:#x}\n'
        'Mode: standalone\n'
        f'Node count: {len(status.database.tree)}\n')


def _line(connection: ConnectionStatus) -> str:
    session = connection.client.session
    text = '' if session is None else (
        f',sid={session.id:#x},to={session.timeout}')
    return (
        f' /{connection}[1](queued=0,recved={connection.received}'
        f',sent={connection.sent}{text})')


WORDS: dict[bytes, Callable[[Status], str]] = {
    b'cons': _cons,
    b'conf': _conf,
    b'envi': _envi,
    b'isro': _isro,
    b'mntr': _mntr,
    b'ruok': _ruok,
    b'srvr': _srvr,
    b'stat': _stat,
}
