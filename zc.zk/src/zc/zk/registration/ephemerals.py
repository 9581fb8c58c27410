"""The nodes of registrations: looked at together, changed in one go."""
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import RolledBackError
from kazoo.exceptions import RuntimeInconsistency
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import int_struct
from kazoo.protocol.serialization import read_string
from kazoo.protocol.serialization import write_string
from kazoo.protocol.states import WatchedEvent
from kazoo.protocol.states import ZnodeStat
from zc.zk.connection.requests import PendingRequest
from zc.zk.connection.requests import Requests
from zc.zk.encoding import decode
from zc.zk.paths import split

Stats = dict[str, ZnodeStat | None]

#: The owner of a container node, which is no session.
CONTAINER = -1 << 63

#: The owner of a node that we may not look at and that is not ours.
HIDDEN = -1

#: What is asked for, by the operations that a change is made of.
PERMISSIONS = {'create': 'CREATE', 'delete': 'DELETE', 'set_data': 'WRITE'}


def is_ephemeral(stat: ZnodeStat) -> bool:
    """Whether a node lives only as long as somebody's session."""
    return stat.ephemeralOwner not in (0, CONTAINER)


class Conflict(Exception):
    """Somebody else changed a node after we had looked."""


class NodeChange(NamedTuple):
    """What has to become of the node at ``path``.

    ``delete`` is the version of the node to delete first, if any; ``data``
    is None where nothing is to be there afterwards; an existing node that is
    not deleted gets the data.
    """

    path: str
    data: bytes | None = None
    delete: int | None = None
    exists: bool = False


class Ephemerals:
    """Ephemeral nodes of one client.

    ``watch`` is called by kazoo when a node that was looked at changes.
    """

    def __init__(self, client: KazooClient, requests: Requests,
                 watch: Callable[[WatchedEvent], None]) -> None:
        self._client = client
        self._requests = requests
        self._watch = watch

    def fetch_stats(self, paths: Iterable[str], watch: bool = True) -> Stats:
        """What is known of each node, and None where there is none.

        Of a node that we may not read nothing is known but whether it is
        ours; else its owner is `HIDDEN`. Nor are we told when it changes.
        """
        asked = {path: self._requests.send(self._client.exists_async, path,
                                        self._watch if watch else None)
                 for path in paths}
        return {path: self._stat(path, pending)
                for path, pending in asked.items()}

    def _stat(self, path: str, pending: PendingRequest) -> ZnodeStat | None:
        try:
            return pending.result()
        except NoAuthError:
            # It is there: since ZOOKEEPER-2590 (3.7.3, 3.8.4, 3.9.2) exists
            # asks for READ where there is a node.
            return self._hidden_stat(path)

    def _hidden_stat(self, path: str) -> ZnodeStat:
        client_id = self._client.client_id
        is_ours = path in self._requests.ask(
            send_get_ephemerals, self._client, path)
        owner = client_id[0] if is_ours and client_id else HIDDEN
        # Version -1 is any, for who deletes it.
        return ZnodeStat(0, 0, 0, 0, -1, 0, 0, owner, 0, 0, 0)

    def describe_owner(self, path: str, stat: ZnodeStat) -> str:
        """Whose node it is, for messages."""
        if not is_ephemeral(stat):
            return 'nobody in particular (it is not ephemeral)'
        if stat.ephemeralOwner == HIDDEN:
            return 'somebody unknown (we may not read it)'
        try:
            data, _ = self._requests.ask(self._client.get_async, path)
            pid = decode(data, path).get('pid', 'unknown')
        except KazooException:
            pid = 'unknown'
        return f'pid {pid}, session 0x{stat.ephemeralOwner:x}'

    def commit(self, changes: Iterable[NodeChange], acl: list[Any]) -> None:
        """Make all changes in one transaction, or none.

        Raises Conflict when it is worth looking again, else the error that
        ZooKeeper gives, with the path in its text, and in that of a
        NoAuthError the permission.
        """
        transaction = self._client.transaction()
        about = []
        for change in changes:
            for operation, arguments in _operations(change, acl):
                getattr(transaction, operation)(change.path, *arguments)
                about.append((operation, change.path))
        if about:
            _check_results(self._requests.ask(transaction.commit_async), about)


def _operations(change: NodeChange, acl: list[Any]) -> Iterable[
        tuple[str, tuple[Any, ...]]]:
    if change.delete is not None:
        yield 'delete', (change.delete,)
    if change.data is not None:
        if change.exists:
            yield 'set_data', (change.data,)
        else:
            yield 'create', (change.data, acl, True)


def _check_results(results: list[Any], about: list[tuple[str, str]]) -> None:
    for result, (operation, path) in zip(results, about, strict=True):
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


class GetEphemerals:
    """Request the session's ephemeral nodes below a prefix; for kazoo.

    kazoo has no such request, but sends any object with these attributes.
    ZooKeeper has it since 3.6, and no other request tells of nodes that we
    may not read. ``prefix`` is a path of the server, with the ``chroot``.
    """

    type = 103

    def __init__(self, prefix: str, chroot: str) -> None:
        self.prefix = prefix
        self.chroot = chroot

    def __repr__(self) -> str:
        return f'GetEphemerals(prefix={self.prefix!r})'

    def serialize(self) -> bytes:
        """For kazoo: return the request's bytes."""
        return write_string(self.prefix)

    def deserialize(self, frame: bytes, offset: int) -> list[str]:
        """For kazoo: return the paths, without the chroot."""
        count, = int_struct.unpack_from(frame, offset)
        offset += int_struct.size
        paths = []
        for _ in range(count):
            path, offset = read_string(frame, offset)
            paths.append(path[len(self.chroot):])
        return paths


def send_get_ephemerals(client: KazooClient, path: str) -> IAsyncResult:
    """Ask for those of our session's nodes whose paths begin with a path."""
    result = client.handler.async_result()
    client._call(GetEphemerals(client.chroot + path, client.chroot), result)
    return result
