"""Read and change the nodes of registrations, all of them at once.

Ephemeral nodes live as long as the session that created them (ZooKeeper
Programmer's Guide, "Ephemeral Nodes"): their `ephemeralOwner`.
"""
import random
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import RolledBackError
from kazoo.exceptions import RuntimeInconsistency
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ThrottledOpError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import int_struct
from kazoo.protocol.serialization import read_string
from kazoo.protocol.serialization import write_string
from kazoo.protocol.states import WatchedEvent
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from zc.zk.connection.requests import PendingRequest
from zc.zk.connection.requests import Requests
from zc.zk.connection.session import SessionClient
from zc.zk.encoding import decode
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.printable import printable

Stats = dict[str, ZnodeStat | None]

#: `ephemeralOwner` of a container node, which is not ephemeral: see
#: EphemeralType in ZooKeeper's source.
CONTAINER = -1 << 63

#: `ephemeralOwner`, made up, of another session's node that we may not read.
HIDDEN = -1

#: Errors that end with a new connection, or with the overload of a server.
TRANSIENT = (ConnectionLoss, SessionExpiredError, ThrottledOpError)

#: The most nodes that are checked in one transaction, whose size is limited
#: (jute.maxbuffer in ZooKeeper's Administrator's Guide).
MAX_WITNESSES = 400

#: The permission that each operation of a transaction needs.
PERMISSIONS = {'check': 'READ', 'create': 'CREATE', 'delete': 'DELETE',
               'set_data': 'WRITE'}


def is_ephemeral(stat: ZnodeStat) -> bool:
    """Return whether a node lives only as long as a session."""
    return stat.ephemeralOwner not in (0, CONTAINER)


class Conflict(Exception):
    """Another client changed a node between our read and our change."""


class Misplaced(Exception):
    """A node was created at another path than the one that was asked for.

    `path` is where the server says that it is.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class NodeChange(NamedTuple):
    """A change of the node at `path`.

    `delete` is the version of the node to delete first; -1 is any version,
    None is no deletion. `data` is the node's data afterwards; None is no
    node. `exists` is whether the data is set on the existing node; else the
    node is created. `is_witness` is whether the node must only exist.
    """

    path: str
    data: bytes | None = None
    delete: int | None = None
    exists: bool = False
    is_witness: bool = False


class Ephemerals:
    """The ephemeral nodes of one client.

    kazoo calls `watch`, in a thread of its own, when a node changes that
    `fetch_stats` has read.
    """

    def __init__(self, client: KazooClient, requests: Requests,
                 watch: Callable[[WatchedEvent], None]) -> None:
        self._client = client
        self._requests = requests
        self._watch = watch

    def fetch_stats(self, paths: Iterable[str], watch: bool = True) -> Stats:
        """Return a dictionary of path to ZnodeStat, None for no node.

        If we may not read a node, its ZnodeStat has only the owner: our
        session or `HIDDEN`. ZooKeeper sets no watch on such a node.
        """
        watcher = self._watch if watch else None
        sent = {path: self._requests.send(self._client.exists_async, path,
                                          watcher)
                for path in paths}
        return {path: self._stat(path, pending)
                for path, pending in sent.items()}

    def _stat(self, path: str, pending: PendingRequest) -> ZnodeStat | None:
        try:
            return pending.result()
        except NoAuthError:
            # The node exists: since ZOOKEEPER-2590 (3.7.3, 3.8.4, 3.9.2)
            # exists asks for READ on a node that exists.
            return self._hidden_stat(path)

    def _hidden_stat(self, path: str) -> ZnodeStat:
        client_id = self._client.client_id
        is_ours = self.is_ours(path)
        owner = client_id[0] if is_ours and client_id else HIDDEN
        # A deletion with version -1 deletes any version.
        return ZnodeStat(0, 0, 0, 0, -1, 0, 0, owner, 0, 0, 0)

    def fetch_data(self, paths: Iterable[str]
                   ) -> dict[str, tuple[bytes, ZnodeStat] | None]:
        """Return data and ZnodeStat of each path.

        None: there is no such node, or we may not read it.
        """
        sent = {path: self._requests.send(self._client.get_async, path)
                for path in paths}
        found: dict[str, tuple[bytes, ZnodeStat] | None] = {}
        for path, pending in sent.items():
            try:
                found[path] = pending.result()
            except (NoNodeError, NoAuthError):
                found[path] = None
        return found

    def is_ours(self, path: str) -> bool:
        """Return whether the server says that a node is our session's."""
        return path in self._requests.ask(send_get_ephemerals, self._client,
                                          path)

    def fetch_ours(self, path: str) -> set[str]:
        """Return the paths of our session's nodes below a path.

        They are none where the server cannot tell, as before ZooKeeper 3.6.
        """
        try:
            return set(self._requests.ask(send_get_ephemerals, self._client,
                                          join(path, '')))
        except TRANSIENT:
            raise
        except KazooException:
            return set()

    def is_asked_for(self, path: str) -> bool:
        """Return whether the client was lately asked to create this node.

        Only a `SessionClient` can tell.
        """
        return (isinstance(self._client, SessionClient)
                and self._client.has_asked_for(path))

    def describe_owner(self, path: str, stat: ZnodeStat) -> str:
        """Return the owner of a node as text, for messages."""
        if not is_ephemeral(stat):
            return 'nobody in particular (it is not ephemeral)'
        if stat.ephemeralOwner == HIDDEN:
            return 'somebody unknown (we may not read it)'
        try:
            data, _ = self._requests.ask(self._client.get_async, path)
            pid = decode(data, path).get('pid', 'unknown')
        except KazooException:
            pid = 'unknown'
        return f'pid {printable(pid, 40)}, session 0x{stat.ephemeralOwner:x}'

    def choose_others(self, paths: Iterable[str],
                      count: int) -> list[str] | None:
        """Return `count` siblings of the nodes at `paths`, chosen at random.

        They are `MAX_WITNESSES` at most. None: there are fewer than `count`.
        """
        own = set(paths)
        parent = split(next(iter(own)))[0]
        names = self._requests.ask(self._client.get_children_async, parent)
        others = [path for path in (join(parent, name) for name in names)
                  if path not in own]
        if len(others) < count:
            return None
        return random.sample(others, min(count, MAX_WITNESSES))

    def commit(self, changes: Iterable[NodeChange], acl: list[ACL]) -> None:
        """Make all changes in one transaction, or none.

        Raises Conflict if another client was faster: read the nodes again.
        Raises Misplaced if the changes were made, but at another path.
        Raises ZooKeeper's error for other failures, with the path in its
        text. The text of a NoAuthError names the permission, too.
        """
        transaction = self._client.transaction()
        operations = []
        for change in changes:
            for operation, arguments in _operations(change, acl):
                getattr(transaction, operation)(change.path, *arguments)
                operations.append((operation, change.path))
        if operations:
            _check_results(self._requests.ask(transaction.commit_async),
                           operations)


def _operations(change: NodeChange, acl: list[ACL]
                ) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if change.is_witness:
        yield 'check', (-1,)  # any version
    if change.delete is not None:
        yield 'delete', (change.delete,)
    if change.data is not None:
        if change.exists:
            yield 'set_data', (change.data,)
        else:
            yield 'create', (change.data, acl, True)


def _check_results(results: list[Any],
                   operations: list[tuple[str, str]]) -> None:
    if len(results) != len(operations):
        raise ConnectionLoss('an answer to another transaction')
    for result, (operation, path) in zip(results, operations, strict=True):
        if isinstance(result, (RolledBackError, RuntimeInconsistency)):
            continue
        if isinstance(result, NoNodeError) and operation == 'create':
            raise NoNodeError(split(path)[0])
        if isinstance(result, (NoNodeError, NodeExistsError,
                               BadVersionError)):
            raise Conflict(path)
        if isinstance(result, NoAuthError):
            raise NoAuthError(f'{path} ({PERMISSIONS[operation]})')
        if isinstance(result, Exception):
            raise type(result)(path)
        if operation == 'create' and result != path:
            raise Misplaced(result)


class GetEphemerals:
    """Request: the session's ephemeral nodes whose paths have a prefix.

    ZooKeeper has getEphemerals since 3.6. No other request tells which of
    the nodes that we may not read are ours. kazoo does not offer it, but
    sends every object that has `type` and these methods.

    `prefix` is a path as the server knows it: with the client's `chroot`.
    """

    type = 103

    def __init__(self, prefix: str, chroot: str) -> None:
        self.prefix = prefix
        self.chroot = chroot

    def __repr__(self) -> str:
        return f'GetEphemerals(prefix={self.prefix!r})'

    def serialize(self) -> bytes:
        """Return the request's bytes; kazoo adds the header."""
        return write_string(self.prefix)

    def deserialize(self, frame: bytes, offset: int) -> list[str]:
        """Return the paths of a reply, without the chroot."""
        count, = int_struct.unpack_from(frame, offset)
        offset += int_struct.size
        paths = []
        for _ in range(count):
            path, offset = read_string(frame, offset)
            paths.append(path[len(self.chroot):])
        return paths


def send_get_ephemerals(client: KazooClient, path: str) -> IAsyncResult:
    """Request the session's ephemeral nodes whose paths begin with `path`.

    Returns kazoo's asynchronous result, a list of paths in the end.
    """
    result = client.handler.async_result()
    client._call(GetEphemerals(client.chroot + path, client.chroot), result)
    return result
