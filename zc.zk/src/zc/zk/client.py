"""`ZooKeeper`: services, their data and their trees over one kazoo client."""
from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterable
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
from zc.zk.encoding import encode
from zc.zk.event import registering_server
from zc.zk.nodes import Nodes
from zc.zk.registration.reconciler import Record
from zc.zk.registration.registrar import Registrar
from zc.zk.registration.registration import Registration
from zc.zk.watch.dispatcher import WatchDispatcher
from zc.zk.watch.properties import Properties
from zc.zk.watch.views import Children

if TYPE_CHECKING:
    from zc.zk.sync.change import Change

#: The environment variable that names the servers to use by default.
DEFAULT_VARIABLE = 'ZC_ZK_CONNECTION_STRING'

DEFAULT_CONNECTION = '127.0.0.1:2181'

#: How long `ZooKeeper.close` waits for a callback that is running.
CALLBACK_TIMEOUT_S = 5.0


def creator_acl() -> list[ACL]:
    """Everything for whom we are authenticated as, reading for the world."""
    return [*CREATOR_ALL_ACL, ACL(Permissions.READ, ANYONE_ID_UNSAFE)]


class ZooKeeper(Nodes):
    """A connection to ZooKeeper, open until `close`.

    ``connection_string`` is ``HOST:PORT[,HOST:PORT...][/CHROOT]``; by
    default the value of the environment variable ZC_ZK_CONNECTION_STRING,
    else ``127.0.0.1:2181``. It may be a started KazooClient instead, which
    is used as it is and left open by `close`.

    ``session_timeout`` is in seconds, 10 by default.

    ``wait`` says to go on until a server answers. It may be a function that
    is asked again and again whether to go on. Without it, `FailedConnect`
    is raised when no server answers.

    ``auth`` is an iterable of ``(scheme, credential)``; ``ca``, ``cert`` and
    ``key`` name PEM files and turn TLS on.

    ``client`` is the KazooClient, for all that is not offered here.
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
        self._owns_client = isinstance(connection_string, str)
        if self._owns_client:
            self.client = make_client(
                connection_string, self.session_timeout, auth=auth, ca=ca,
                cert=cert, key=key)
            connect(self.client, self.session_timeout, wait)
        elif auth or ca or cert or key:
            raise TypeError('auth, ca, cert and key are for connections that '
                            'are made here, not for a client')
        else:
            self.client = connection_string
        self._closed = False
        self._requests = Requests(self.client)
        self._registrar = Registrar(self.client, self._requests,
                                    self.session_timeout, self.resolve)
        self._dispatcher = WatchDispatcher(self.client, self._requests)

    def close(self) -> None:
        """End the session, and with it the registrations.

        Takes a few seconds at most, whatever the state of the servers. A
        KazooClient that was passed in is left open, but the registrations
        are withdrawn.
        """
        if self._closed:
            return
        self._closed = True
        if not self._owns_client:
            self._registrar.withdraw()
        self._registrar.close()
        self._dispatcher.close()
        self._requests.close()
        try:
            if self._owns_client:
                disconnect(self.client)
        finally:
            self._registrar.join()
            self._dispatcher.join(CALLBACK_TIMEOUT_S)

    def __enter__(self) -> ZooKeeper:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<zc.zk.ZooKeeper {format_servers(self.client)}>'

    def recv_timeout(self) -> float:
        """The session time-out in seconds that was asked for."""
        return self.session_timeout

    # Registration

    def register(self, path: str, addr: str | Iterable[object],
                 acl: list[ACL] = READ_ACL_UNSAFE,
                 **properties: Any) -> Registration:
        """Register a server's address at a path, which may be a link.

        ``addr`` is a host and port, or ``'HOST:PORT'``. An empty host stands
        for every address of this machine. The process id is added to the
        properties. Returns when the nodes are there; from then on they are
        kept there until they are withdrawn, or `close`.
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
        """The names of the node's children, kept up to date.

        For one look, `get_children` is cheaper.
        """
        return Children(self._dispatcher, path)

    def properties(self, path: str, watch: bool = True) -> Properties:
        """The node's properties, kept up to date unless told otherwise."""
        return Properties(self._dispatcher, path, watch, self.set)

    # Trees: only delegations. `zc.zk.sync` is imported here, in functions,
    # because servers, which only register, have no use for it.

    def export_tree(self, path: str = '/', ephemeral: bool = False,
                    name: str | None = None) -> str:
        """The tree at a path as text, which `import_tree` reads.

        Ephemeral nodes are part of it if ``ephemeral`` is true. ``name`` is
        that of the top node; the root has no line unless it is given one.
        """
        from zc.zk import sync
        return sync.export_tree(self.client, path, ephemeral, name)

    def print_tree(self, path: str = '/') -> None:
        """Print the tree at a path, ephemeral nodes included."""
        print(self.export_tree(path, True), end='')

    def plan(self, text: str, path: str = '/', trim: bool | None = None,
             acl: list[ACL] | None = None, *,
             force: bool = False) -> list[Change]:
        """What `import_tree` would change; see there."""
        from zc.zk import sync
        return sync.plan(self.client, text, path, trim, acl, force=force)

    def import_tree(self, text: str, path: str = '/',
                    trim: bool | None = None, acl: list[ACL] | None = None,
                    dry_run: bool = False, *,
                    force: bool = False) -> list[Change]:
        """Make the nodes of a tree, given as text, those below a path.

        ``trim``
            Whether nodes that are not in the text are deleted: no, and with
            None that is logged. The top nodes are never deleted.
        ``acl``
            The access control list for the nodes of the text. Without it,
            existing nodes keep theirs and new ones are open to everyone.
        ``dry_run``
            Whether to change nothing.
        ``force``
            Whether ephemeral nodes are changed and deleted as well.

        Returns the changes. Raises `TreeError` when the text is not a tree,
        and `ApplyError` when not everything could be changed.
        """
        from zc.zk import sync
        return sync.import_tree(self.client, text, path, trim, acl,
                                dry_run, force=force)


ZK = ZooKeeper
