"""Start kazoo clients for tests, and give each test a chroot."""
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Any
from typing import Protocol

import kazoo.client
import kazoo.exceptions
from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult

#: kazoo's default waits longer after each failure, up to a minute.
RECONNECT_QUICKLY = {
    'max_tries': -1, 'delay': .02, 'backoff': 1.5, 'max_delay': .5}

#: The session timeout of what fixtures do by themselves, in seconds: on a busy
#: machine it may take long to delete the nodes of a test.
FIXTURE_TIMEOUT_S = 30.


class Servers(Protocol):
    """One server, or an ensemble."""

    @property
    def name(self) -> str:
        """The kind of the servers: ``embedded`` or ``apache``."""

    @property
    def hosts(self) -> str:
        """``HOST:PORT`` of all servers, with commas between."""

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the servers."""

    def expire(self, client: KazooClient) -> None:
        """End a client's session from the servers' side."""


class Chroot:
    """Servers, seen below a path that belongs to one test."""

    def __init__(self, servers: Servers, chroot: str) -> None:
        self.servers = servers
        self.chroot = chroot

    @property
    def name(self) -> str:
        """The kind of the servers: ``embedded`` or ``apache``."""
        return self.servers.name

    @property
    def hosts(self) -> str:
        """``HOST:PORT`` of all servers, with commas between, no chroot."""
        return self.servers.hosts

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the servers, or that the embedded one behaves as."""
        return self.servers.version

    @property
    def connection_string(self) -> str:
        """The hosts and the chroot."""
        return self.hosts + self.chroot

    def expire(self, client: KazooClient) -> None:
        """End a client's session from the servers' side."""
        self.servers.expire(client)


def start_client(connection_string: str, **options: object) -> KazooClient:
    """Return a started client; `options` are KazooClient's.

    By default it asks for a session timeout of 5 seconds, and reconnects
    quickly and without end. Raise kazoo's timeout error after 30 seconds.
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
    """End the client's session and close it; may be called twice."""
    client.stop()
    client.close()


@contextmanager
def own_chroot(servers: Servers) -> Iterator[Chroot]:
    """Create a node for one test, and delete it and all below at the end."""
    chroot = f'/test-{uuid.uuid4().hex[:12]}'
    _with_client(servers, lambda client: client.create(chroot))
    try:
        yield Chroot(servers, chroot)
    finally:
        _with_client(servers, lambda client: _remove(client, chroot))


def _with_client(servers: Servers,
                 function: Callable[[KazooClient], object]) -> None:
    client = start_client(servers.hosts, timeout=FIXTURE_TIMEOUT_S)
    try:
        function(client)
    finally:
        stop_client(client)


def _remove(client: KazooClient, path: str) -> None:
    """Delete a tree, as far as its ACLs allow: the server ends anyway."""
    for _ in range(5):
        try:
            return _delete_tree(client, path)
        except kazoo.exceptions.NotEmptyError:
            continue  # a client that the test left behind adds nodes
        except kazoo.exceptions.NoAuthError:
            return None
    return None


def _delete_tree(client: KazooClient, path: str) -> None:
    """Delete level by level, all nodes of a level at once."""
    levels = [[path]]
    while levels[-1]:
        asked = [(parent, client.get_children_async(parent))
                 for parent in levels[-1]]
        levels.append([f'{parent}/{name}' for parent, answer in asked
                       for name in _unless_gone(answer) or ()])
    for level in reversed(levels):
        for answer in [client.delete_async(each) for each in level]:
            _unless_gone(answer)


def _unless_gone(answer: IAsyncResult) -> Any:
    with suppress(kazoo.exceptions.NoNodeError):
        return answer.get()
