"""Requests that change the tree, alone or in a multi.

Each function reads a request and returns a Step. The step makes the change in
a transaction, and returns the body of the reply or raises Refused.
"""
from collections.abc import Callable

from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.transaction import Transaction

Step = Callable[[Transaction], bytes]

# Flags of creations (org.apache.zookeeper.CreateMode).
CONTAINER = 4
TTL_FLAGS = (5, 6)


def create(reader: jute.Reader) -> Step:
    """Create a node; reply with its path."""
    request = _creation(reader)

    def step(transaction: Transaction) -> bytes:
        return jute.string(transaction.create(*_plain(*request))[0])

    return step


def create2(reader: jute.Reader) -> Step:
    """Create a node; reply with its path and Stat."""
    request = _creation(reader)

    def step(transaction: Transaction) -> bytes:
        path, node = transaction.create(*_plain(*request))
        return jute.string(path) + node.stat()

    return step


def create_container(reader: jute.Reader) -> Step:
    """Create a container node; reply with its path and Stat.

    The request makes it a container, whatever its flags.
    """
    request = _creation(reader)

    def step(transaction: Transaction) -> bytes:
        path, node = transaction.create(*_plain(*request), True)
        return jute.string(path) + node.stat()

    return step


def create_ttl(reader: jute.Reader) -> Step:
    """Refuse a node with a time to live, as Apache ZooKeeper's default does.

    See zookeeper.extendedTypesEnabled in the Administrator's Guide.
    """
    request = _creation(reader)
    ttl = reader.long()

    def step(transaction: Transaction) -> bytes:
        _plain(*request)
        raise Refused(Code.BAD_ARGUMENTS if ttl >= 0 else Code.UNIMPLEMENTED)

    return step


def delete(reader: jute.Reader) -> Step:
    """Delete a node; the reply is empty."""
    path = reader.string()
    version = reader.integer()

    def step(transaction: Transaction) -> bytes:
        transaction.delete(path, version)
        return b''

    return step


def set_data(reader: jute.Reader) -> Step:
    """Set the data of a node; reply with its Stat."""
    path = reader.string()
    data = reader.buffer()
    version = reader.integer()
    return lambda transaction: transaction.set_data(
        path, data, version).stat()


def set_acl(reader: jute.Reader) -> Step:
    """Set the ACL of a node; reply with its Stat."""
    path = reader.string()
    access = acl.read(reader)
    version = reader.integer()
    return lambda transaction: transaction.set_acl(
        path, access, version).stat()


def check(reader: jute.Reader) -> Step:
    """Check that a node has a version; the reply is empty."""
    path = reader.string()
    version = reader.integer()

    def step(transaction: Transaction) -> bytes:
        transaction.check(path, version)
        return b''

    return step


Creation = tuple[str, bytes | None, acl.Acl, int]


def _creation(reader: jute.Reader) -> Creation:
    path = reader.string()
    data = reader.buffer()
    access = acl.read(reader)
    return path, data, access, reader.integer()


def _plain(
    path: str, data: bytes | None, access: acl.Acl, flags: int,
) -> Creation:
    if flags in TTL_FLAGS:
        raise Refused(Code.UNIMPLEMENTED)
    if not 0 <= flags <= CONTAINER:
        raise Refused(Code.BAD_ARGUMENTS)
    return path, data, access, flags


# The changes that a multi may have.
PARTS: dict[int, Callable[[jute.Reader], Step]] = {
    OpCode.CREATE: create,
    OpCode.CREATE2: create2,
    OpCode.CREATE_CONTAINER: create_container,
    OpCode.CREATE_TTL: create_ttl,
    OpCode.DELETE: delete,
    OpCode.SET_DATA: set_data,
    OpCode.CHECK: check,
}

# A check stands in a multi only (ZOOKEEPER-2623).
CHANGES = {**PARTS, OpCode.SET_ACL: set_acl}
del CHANGES[OpCode.CHECK]
