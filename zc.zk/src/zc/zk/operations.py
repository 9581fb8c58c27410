"""Changes as operations of ZooKeeper, in batches of a bounded size."""
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import Create
from kazoo.protocol.serialization import Delete
from kazoo.protocol.serialization import MultiHeader
from kazoo.protocol.serialization import SetACL
from kazoo.protocol.serialization import SetData
from kazoo.protocol.serialization import Transaction
from kazoo.security import ACL
from zc.zk.changes import ADD_NODE
from zc.zk.changes import CHANGE_ACL
from zc.zk.changes import DELETE_NODE
from zc.zk.changes import Change
from zc.zk.encoding import encode
from zc.zk.permissions import to_acl

#: The most operations and bytes in one batch.
MAX_OPERATIONS = 500
MAX_BYTES = 2 ** 18

#: What a request has around its operation, at most.
OVERHEAD = 64


class Operation(NamedTuple):
    """One request to ZooKeeper, for one or several changes of a node."""

    changes: list[Change]
    request: Create | Delete | SetData | SetACL
    frame: bytes  #: the request as a part of a transaction

    @property
    def path(self) -> str:
        """The path of the node, without a chroot."""
        return self.changes[0].path

    @property
    def name(self) -> str:
        """What is done, for a message."""
        return _NAMES[type(self.request)]


class _Multi(NamedTuple):
    """kazoo's Transaction, of operations that are serialised already."""

    operations: list[Operation]
    type = Transaction.type
    deserialize = Transaction.deserialize

    def serialize(self) -> bytes:
        """For kazoo: return the request's bytes."""
        frames = [operation.frame for operation in self.operations]
        frames.append(_END)
        return b''.join(frames)


def operations(changes: Iterable[Change], default: list[ACL],
               chroot: str = '') -> Iterator[Operation]:
    """Yield what makes the changes; `default` is the ACL of new nodes.

    Raises ValueError, with the path, for properties that cannot be stored.
    """
    for _, group in groupby(changes, _path_and_kind):
        group = list(group)
        request = _request(group[0], default, chroot)
        yield Operation(group, request, b''.join(
            (_HEADERS[request.type], request.serialize())))


def batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Split into lists that fit in a transaction; keep the order.

    Changes of ACLs cannot be part of one, and are each a list of their own.
    """
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        size += len(operation.frame)
        if batch and (len(batch) == MAX_OPERATIONS or size > MAX_BYTES
                      or _is_alone(operation) or _is_alone(batch[0])):
            yield batch
            batch, size = [], len(operation.frame)
        batch.append(operation)
    if batch:
        yield batch


def send(client: KazooClient, batch: list[Operation]) -> IAsyncResult:
    """Send a transaction, or the change of an ACL."""
    result = client.handler.async_result()
    client._call(batch[0].request if _is_alone(batch[0]) else _Multi(batch),
                 result)
    return result


def _path_and_kind(change: Change) -> tuple[str, object]:
    return change.path, _REQUESTS.get(change.kind, SetData)


def _request(change: Change, default: list[ACL],
             chroot: str) -> Create | Delete | SetData | SetACL:
    path = chroot + change.path
    if change.kind == ADD_NODE:
        return Create(path, _data(change),
                      to_acl(change.acl) if change.acl else default, 0)
    if change.kind == DELETE_NODE:
        return Delete(path, change.version)
    if change.kind == CHANGE_ACL:
        return SetACL(path, to_acl(change.new), -1)
    return SetData(path, _data(change), change.version)


def _data(change: Change) -> bytes:
    try:
        return encode(change.properties)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'{change.path}: {error}') from None


def _is_alone(operation: Operation) -> bool:
    return operation.request.type == SetACL.type


_REQUESTS = {ADD_NODE: Create, DELETE_NODE: Delete, CHANGE_ACL: SetACL}
_NAMES = {Create: 'create', Delete: 'delete', SetData: 'set the data',
          SetACL: 'change the ACL'}
_HEADERS = {request.type: bytes(MultiHeader(
    request.type, False, -1).serialize()) for request in _NAMES}
_END = bytes(MultiHeader(-1, True, -1).serialize())
