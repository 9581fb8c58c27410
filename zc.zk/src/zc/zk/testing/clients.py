"""kazoo clients for tests, and a chroot for each test."""
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import kazoo.client
import kazoo.exceptions
from kazoo.client import KazooClient

#: kazoo's default is to wait longer after each failure, up to a minute.
RECONNECT_QUICKLY = {
    'max_tries': -1, 'delay': .02, 'backoff': 1.5, 'max_delay': .5}


class Servers(Protocol):
    """One server or an ensemble."""

    name: str
    hosts: str
    version: tuple[int, ...]

    def expire(self, client: KazooClient) -> None:
        """End the client's session from the servers' side."""


class Chroot:
    """A server, or several, seen under a path that one test has alone."""

    def __init__(self, servers: Servers, chroot: str) -> None:
        self.servers = servers
        self.chroot = chroot

    @property
    def name(self) -> str:
        """``embedded`` or ``apache``"""
        return self.servers.name

    @property
    def hosts(self) -> str:
        """``HOST:PORT``, several with commas, without the chroot."""
        return self.servers.hosts

    @property
    def version(self) -> tuple[int, ...]:
        """As the servers tell it; the embedded one, which it behaves as."""
        return self.servers.version

    @property
    def connection_string(self) -> str:
        """Hosts and chroot."""
        return self.hosts + self.chroot

    def expire(self, client: KazooClient) -> None:
        """End the client's session from the servers' side."""
        self.servers.expire(client)


def start_client(connection_string: str, **options: object) -> KazooClient:
    """Return a started client; ``options`` are kazoo's.

    Unless told otherwise it looks for its server often and without end, and
    a session of 5 seconds is asked for.
    """
    options = {'timeout': 5., 'connection_retry': dict(RECONNECT_QUICKLY),
               **options}
    client = KazooClient(connection_string, **options)
    try:
        client.start(timeout=30)
    except BaseException:
        stop_client(client)
        raise
    return client


def stop_client(client: KazooClient) -> None:
    """End the client's session and free what it holds; may be repeated."""
    client.stop()
    client.close()


@contextmanager
def own_chroot(servers: Servers) -> Iterator[Chroot]:
    """Make a node under which a test is alone, and remove it afterwards."""
    chroot = f'/test-{uuid.uuid4().hex[:12]}'
    _with_client(servers, lambda client: client.create(chroot))
    try:
        yield Chroot(servers, chroot)
    finally:
        _with_client(servers, lambda client: _remove(client, chroot))


def _with_client(servers: Servers, function) -> None:
    client = start_client(servers.hosts)
    try:
        function(client)
    finally:
        stop_client(client)


def _remove(client: KazooClient, path: str) -> None:
    """Remove the tree, as far as its ACLs let us; the server goes anyway."""
    for _ in range(5):
        try:
            return client.delete(path, recursive=True)
        except kazoo.exceptions.NotEmptyError:
            continue  # a client that the test left behind is still at work
        except kazoo.exceptions.NoAuthError:
            return None
    return None
