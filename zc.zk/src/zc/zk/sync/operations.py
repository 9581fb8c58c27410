"""Turn changes into ZooKeeper operations, in batches of a bounded size.

Operations are serialised here and not by kazoo, so that the size of a batch is
known before it is sent.
"""
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from typing import NamedTuple

from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import Create
from kazoo.protocol.serialization import Delete
from kazoo.protocol.serialization import SetACL
from kazoo.protocol.serialization import SetData
from kazoo.protocol.serialization import Transaction
from kazoo.security import ACL
from zc.zk.encoding import encode
from zc.zk.permissions import to_acl
from zc.zk.printable import printable
from zc.zk.sync.change import ADD_NODE
from zc.zk.sync.change import ADD_PROPERTY
from zc.zk.sync.change import CHANGE_ACL
from zc.zk.sync.change import CHANGE_PROPERTY
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.change import REMOVE_PROPERTY
from zc.zk.sync.change import Change
from zc.zk.tree import NULL

#: The most operations, and bytes, in one batch: well below the 1 MiB of
#: jute.maxbuffer, at which ZooKeeper closes the connection.
BATCH_OPERATIONS = 500
BATCH_BYTES = 2 ** 18

# The bytes of a request's header: xid and type.
_REQUEST_HEADER_BYTES = 8

_INT = struct.Struct('!i')
_HEADER = struct.Struct('!i?i')
_CREATE = _HEADER.pack(Create.type, False, -1)
_DELETE = _HEADER.pack(Delete.type, False, -1)
_SET_DATA = _HEADER.pack(SetData.type, False, -1)
_SET_ACL = _HEADER.pack(SetACL.type, False, -1)
_ERROR = -1
_END = _HEADER.pack(-1, True, -1)

_OF_PROPERTIES = frozenset({ADD_PROPERTY, CHANGE_PROPERTY, REMOVE_PROPERTY})
_NAMES = {_CREATE: 'create', _DELETE: 'delete', _SET_DATA: 'set the data',
          _SET_ACL: 'change the ACL'}


class Operation(NamedTuple):
    """One ZooKeeper operation, for one or several changes of a node.

    `frame` is the operation as it is sent, with its MultiHeader.
    """

    changes: list[Change]
    frame: bytes

    @property
    def path(self) -> str:
        """The path of the node, without the chroot."""
        return self.changes[0].path

    @property
    def name(self) -> str:
        """The name of the operation, for a message."""
        return _NAMES[self.frame[:_HEADER.size]]

    @property
    def is_alone(self) -> bool:
        """Whether the operation cannot be part of a transaction (setACL)."""
        return self.changes[0].kind == CHANGE_ACL


@dataclass(frozen=True)
class _Multi:
    """A request as kazoo's Transaction, of serialised operations."""

    operations: list[Operation]
    type: ClassVar[int] = Transaction.type

    @staticmethod
    def deserialize(frame: bytes, offset: int) -> list:
        """Return the results to kazoo: an empty list when all succeeded.

        When an operation fails, each result is an exception.
        """
        if _HEADER.unpack_from(frame, offset)[0] == _ERROR:
            return Transaction.deserialize(frame, offset)
        return []

    def serialize(self) -> bytes:
        """Return the request's bytes to kazoo."""
        frames = [operation.frame for operation in self.operations]
        frames.append(_END)
        return b''.join(frames)


@dataclass(frozen=True)
class _Single:
    """A request of one operation, serialised already.

    `frame` has the MultiHeader, which such a request does not have.
    """

    frame: bytes

    @property
    def type(self) -> int:
        """The type of the request."""
        return _HEADER.unpack_from(self.frame)[0]

    @staticmethod
    def deserialize(frame: bytes, offset: int) -> None:
        """Return nothing to kazoo: only an error would matter."""

    def serialize(self) -> bytes:
        """Return the request's bytes to kazoo."""
        return self.frame[_HEADER.size:]


def longest(max_request: int) -> int:
    """Return the most bytes of an Operation's frame, sent as a _Single."""
    return max_request - _REQUEST_HEADER_BYTES + _HEADER.size


def operations(changes: Iterable[Change], default: list[ACL],
               chroot: str = '') -> Iterator[Operation]:
    """Yield the operations that make the changes.

    `default` is the ACL of new nodes that name none. Raise ValueError, with
    the path, for properties that cannot be stored.
    """
    acl_of_new = _acl(default)
    for group in _groups(changes):
        yield Operation(group, _frame(group[0], acl_of_new, chroot))


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Yield the property changes of one node together, any other alone."""
    group: list[Change] = []
    for change in changes:
        is_property = change.kind in _OF_PROPERTIES
        if group and not (is_property and change.path == group[0].path):
            yield group
            group = []
        if is_property:
            group.append(change)
        else:
            yield [change]
    if group:
        yield group


def batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Yield the operations, in order, in lists that fit in a transaction.

    A setACL cannot be part of a transaction: each is a list of its own.
    """
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        size += len(operation.frame)
        if batch and (len(batch) == BATCH_OPERATIONS or size > BATCH_BYTES
                      or operation.is_alone or batch[0].is_alone):
            yield batch
            batch, size = [], len(operation.frame)
        batch.append(operation)
    if batch:
        yield batch


def send(client: KazooClient, batch: list[Operation]) -> IAsyncResult:
    """Send a batch as a transaction, a setACL as a request of its own.

    A large operation is a request of its own, too: so ZooKeeper takes again
    what it once took.
    """
    is_single = batch[0].is_alone or len(batch[0].frame) > BATCH_BYTES
    result = client.handler.async_result()
    client._call(_Single(batch[0].frame) if is_single else _Multi(batch),
                 result)
    return result


def _frame(change: Change, acl_of_new: bytes, chroot: str) -> bytes:
    path = _bytes(((chroot + change.path).rstrip('/') or '/').encode())
    kind = change.kind
    if kind == ADD_NODE:
        acl = _acl_of(change, change.acl) if change.acl else acl_of_new
        # At the end, the flags: neither ephemeral nor a sequence.
        return b''.join((
            _CREATE, path, _bytes(_data(change)), acl, _INT.pack(0)))
    if kind == DELETE_NODE:
        return b''.join((_DELETE, path, _INT.pack(change.version)))
    if kind == CHANGE_ACL:
        acl = _acl_of(change, change.new)
        return b''.join((_SET_ACL, path, acl, _INT.pack(-1)))
    return b''.join((_SET_DATA, path, _bytes(_data(change)),
                     _INT.pack(change.version)))


def _data(change: Change) -> bytes | None:
    if not change.properties and change.blank is not None:
        return None if change.blank == NULL else b''
    try:
        return encode(change.properties or {})
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'{printable(change.path)}: {error}') from None


def _bytes(data: bytes | None) -> bytes:
    if data is None:
        return _INT.pack(-1)
    return _INT.pack(len(data)) + data


def _acl_of(change: Change, acl: tuple[str, ...]) -> bytes:
    try:
        return _acl(to_acl(acl))
    except ValueError as error:
        raise ValueError(f'{printable(change.path)}: {error}') from None


def _acl(acl: list[ACL]) -> bytes:
    parts = [_INT.pack(len(acl))]
    for entry in acl:
        parts += (_INT.pack(entry.perms), _bytes(entry.id.scheme.encode()),
                  _bytes(entry.id.id.encode()))
    return b''.join(parts)
