"""`ZooKeeper`: one session, and all that an application does with it."""
from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from kazoo.client import KazooClient
from kazoo.security import ACL
from kazoo.security import ANYONE_ID_UNSAFE
from kazoo.security import CREATOR_ALL_ACL
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import Permissions
from zc.zk import event
from zc.zk.addresses import address_name
from zc.zk.addresses import node_names
from zc.zk.connection.client import connect
from zc.zk.connection.client import disconnect
from zc.zk.connection.client import format_servers
from zc.zk.connection.client import make_client
from zc.zk.connection.requests import Requests
from zc.zk.connection.session import SessionClient
from zc.zk.encoding import encode
from zc.zk.event import registering_server
from zc.zk.nodes import Nodes
from zc.zk.nodes import resolve
from zc.zk.registration.record import Record
from zc.zk.registration.registrar import Registrar
from zc.zk.registration.registration import Registration
from zc.zk.watch.dispatcher import WatchDispatcher
from zc.zk.watch.properties import Properties
from zc.zk.watch.views import Children

if TYPE_CHECKING:
    from zc.zk.sync.change import Change

#: The environment variable with the default connection string.
DEFAULT_VARIABLE = 'ZC_ZK_CONNECTION_STRING'

DEFAULT_CONNECTION = '127.0.0.1:2181'

#: The longest time for `ZooKeeper.close` to wait for a running callback.
CALLBACK_TIMEOUT_S = 5.0


def creator_acl() -> list[ACL]:
    """Return an ACL: all rights for our own identity, READ for everyone."""
    return [*CREATOR_ALL_ACL, ACL(Permissions.READ, ANYONE_ID_UNSAFE)]


class ZooKeeper(Nodes):
    """A session with ZooKeeper, open until `close`.

    `connection_string`
        ``HOST:PORT[,HOST:PORT...][/CHROOT]``. The default is the value of
        the environment variable ZC_ZK_CONNECTION_STRING, or else
        ``127.0.0.1:2181``. A started KazooClient may be given instead, which
        `close` leaves open.
    `session_timeout`
        Seconds, 10 by default.
    `wait`
        Whether to wait without a limit until a server answers. A function is
        called several times a second and returns whether to go on. If false,
        `FailedConnect` is raised when no server answers.
    `auth`
        An iterable of pairs of scheme and credential.
    `ca`, `cert`, `key`
        Names of PEM files; each of them turns TLS on.

    The attribute `client` is the KazooClient, for requests that have no
    method here.
    """

    def __init__(self, connection_string: str | KazooClient | None = None,
                 session_timeout: float | None = None,
                 wait: bool | Callable[[], bool] = False, *,
                 auth: Iterable[tuple[str, str]] | None = None,
                 ca: str | None = None, cert: str | None = None,
                 key: str | None = None) -> None:
        self.session_timeout = (10.0 if session_timeout is None
                                else float(session_timeout))
        if not connection_string:
            connection_string = (os.environ.get(DEFAULT_VARIABLE)
                                 or DEFAULT_CONNECTION)
        self._own_client: SessionClient | None = None
        if isinstance(connection_string, str):
            client: KazooClient = make_client(
                connection_string, self.session_timeout, auth=auth, ca=ca,
                cert=cert, key=key)
            connect(client, self.session_timeout, wait)
            self._own_client = client
        elif auth or ca or cert or key:
            raise TypeError('auth, ca, cert and key are for connections that '
                            'are made here, not for a client')
        else:
            client = connection_string
        self._closed = False
        self._requests = Requests(client)
        dispatcher = WatchDispatcher(client, self._requests)
        super().__init__(client, Registrar(
            client, self._requests, self.session_timeout,
            partial(resolve, dispatcher)), dispatcher)

    def close(self) -> None:
        """End the session, and with it the registrations.

        Returns after a few seconds at most, whatever state the servers are
        in. A KazooClient that was passed in stays open; the registrations
        are withdrawn. In a forked child, only the child's own descriptors
        are closed: the session goes on in the parent.
        """
        if self._closed:
            return
        self._closed = True
        if self._own_client is None and not self._requests.is_forked:
            self._registrar.withdraw()
        self._registrar.close()
        self._dispatcher.close()
        self._requests.close()
        try:
            if self._own_client is not None:
                disconnect(self._own_client)
        finally:
            self._registrar.join()
            self._dispatcher.join(CALLBACK_TIMEOUT_S)

    @property
    def has_ended_session(self) -> bool:
        """Whether a server has confirmed that `close` has ended the session.

        False before, and for the session of a KazooClient that was passed in.
        """
        return (self._own_client is not None
                and self._own_client.has_ended_session)

    def is_alive(self) -> bool:
        """Return whether the threads run that keep session and nodes.

        They go on after any failure. This is for watchdogs, which ask
        whether that is still true; it says nothing about ZooKeeper.
        """
        return (self._registrar.is_alive() and self._dispatcher.is_alive()
                and (self._own_client is None or self._own_client.is_alive()))

    def __enter__(self) -> ZooKeeper:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<zc.zk.ZooKeeper {format_servers(self.client)}>'

    def recv_timeout(self) -> float:
        """Return the requested session time-out, in seconds."""
        return self.session_timeout

    # Registration

    def register(self, path: str, addr: str | Iterable[object],
                 acl: list[ACL] = READ_ACL_UNSAFE,
                 **properties: Any) -> Registration:
        """Register a server's address at a path, which may be a link.

        `addr` is a host and port, or ``'HOST:PORT'``. An empty host stands
        for every address of this machine, with a node for each. The process
        id is added to the properties as `pid`.

        Returns when the nodes exist. From then on they are kept, until they
        are withdrawn or `close` is called. Raises NoNodeError or `LinkLoop`
        if `path` leads to no node, NodeExistsError if a node is taken, and
        NoAuthError if it may not be created.
        """
        name = address_name(addr)
        names = node_names(name)
        real_path = self.resolve(path)
        registering = registering_server(name, real_path, properties)
        event.notify(registering)
        record = Record(path, real_path, names,
                        encode(registering.properties), acl)
        self._registrar.register(record)
        return Registration(self._registrar, record)

    register_server = register

    # Discovery

    def children(self, path: str) -> Children:
        """Return the names of a node's children, which are kept up to date.

        To read them once, `get_children` is cheaper.
        """
        return Children(self._dispatcher, path)

    def properties(self, path: str, watch: bool = True) -> Properties:
        """Return a node's properties, kept up to date if `watch` is true."""
        return Properties(self._dispatcher, path, watch, self.set)

    # Trees: servers, which only register, never need zc.zk.sync, which is
    # therefore imported late.

    def export_tree(self, path: str = '/', ephemeral: bool = False,
                    name: str | None = None) -> str:
        """Return the tree at a path as text, which `import_tree` reads.

        If `ephemeral` is true, ephemeral nodes are included. `name` replaces
        the name of the top node. The root has no line without a `name`.
        """
        from zc.zk.sync import export_tree
        return export_tree(self.client, path, ephemeral, name)

    def print_tree(self, path: str = '/') -> None:
        """Print the tree at a path, with ephemeral nodes."""
        print(self.export_tree(path, True), end='')

    def plan(self, text: str, path: str = '/', trim: bool | None = None,
             acl: list[ACL] | None = None, *,
             force: bool = False) -> list[Change]:
        """Return what `import_tree` would change; see there."""
        from zc.zk.sync import plan
        return plan(self.client, text, path, trim, acl, force=force)

    def import_tree(self, text: str, path: str = '/',
                    trim: bool | None = None, acl: list[ACL] | None = None,
                    dry_run: bool = False, *,
                    force: bool = False) -> list[Change]:
        """Create and change nodes below a path to match a tree, a text.

        `trim`
            Whether to delete nodes that are not in the text. With None they
            stay, and each is logged. The top nodes are never deleted.
        `acl`
            The access control list for the nodes of the text. Without it,
            existing nodes keep theirs, and new nodes are open to everyone.
        `dry_run`
            Only return what would be changed.
        `force`
            Change and delete ephemeral nodes as well.

        Returns a list of `Change`. Raises `TreeError` if the text is not a
        tree, and `ApplyError` if a change failed.
        """
        from zc.zk.sync import import_tree
        return import_tree(self.client, text, path, trim, acl, dry_run,
                           force=force)


ZK = ZooKeeper
