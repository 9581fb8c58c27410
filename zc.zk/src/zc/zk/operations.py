"""Changes as operations of ZooKeeper, in batches of a bounded size."""
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from kazoo.security import ACL
from zc.zk.changes import ADD_NODE
from zc.zk.changes import CHANGE_ACL
from zc.zk.changes import DELETE_NODE
from zc.zk.changes import Change
from zc.zk.encoding import encode
from zc.zk.permissions import to_acl

CREATE = 'create'
SET_DATA = 'set'
DELETE = 'delete'
SET_ACL = 'set ACL'

#: The most operations and bytes in one batch.
MAX_OPERATIONS = 500
MAX_BYTES = 2 ** 18

# What an operation takes beyond path, data and ACL.
_OVERHEAD = 40


class Operation(NamedTuple):
    """One request to ZooKeeper, for one or several changes of a node."""

    kind: str
    path: str
    size: int
    changes: list[Change]
    data: bytes = b''
    acl: list[ACL] = []
    version: int = -1


def operations(changes: Iterable[Change],
               default: list[ACL]) -> Iterator[Operation]:
    """Yield what makes the changes; `default` is the ACL of new nodes.

    Raises ValueError, with the path, for properties that cannot be stored.
    """
    changes = (change for change in changes if not change.is_note)
    for (path, kind), group in groupby(changes, _path_and_kind):
        group = list(group)
        change = group[0]
        data, acl = b'', []
        if kind in (CREATE, SET_DATA):
            data = _data(path, change.properties)
        if kind == CREATE:
            acl = to_acl(change.acl) if change.acl else default
        elif kind == SET_ACL:
            acl = to_acl(change.new)
        # No character takes more than three bytes for each of its UTF-16
        # units; names with others are refused.
        size = _OVERHEAD + len(path) * (1 if path.isascii() else 3)
        size += len(data) + sum(
            16 + len(entry.id.scheme) + len(entry.id.id) for entry in acl)
        yield Operation(kind, path, size, group, data, acl, change.version)


def batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Split into lists that fit in a transaction; keep the order.

    Changes of ACLs cannot be part of one, and are each a list of their own.
    """
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        size += operation.size
        if batch and (len(batch) == MAX_OPERATIONS or size > MAX_BYTES
                      or SET_ACL in (operation.kind, batch[0].kind)):
            yield batch
            batch, size = [], operation.size
        batch.append(operation)
    if batch:
        yield batch


def _path_and_kind(change: Change) -> tuple[str, str]:
    return change.path, _KINDS.get(change.kind, SET_DATA)


def _data(path: str, properties: dict) -> bytes:
    try:
        return encode(properties)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'{path}: {error}') from None


_KINDS = {ADD_NODE: CREATE, DELETE_NODE: DELETE, CHANGE_ACL: SET_ACL}
