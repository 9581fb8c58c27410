"""Requests that change the tree, alone or as parts of a multi.

Each function here reads a request and returns the step that does it in a
transaction and returns the body of the reply.
"""
from collections.abc import Callable

from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.transaction import Transaction

Step = Callable[[Transaction], bytes]

LAST_FLAG = 3  # ephemeral and sequential
CONTAINER = 4
TTL_FLAGS = (5, 6)


def create(reader: jute.Reader) -> Step:
    """A new node; the reply is its path."""
    request = _creation(reader)

    def step(transaction: Transaction) -> bytes:
        return jute.string(transaction.create(*_plain(*request))[0])

    return step


def create2(reader: jute.Reader) -> Step:
    """A new node; the reply is its path and Stat."""
    request = _creation(reader)

    def step(transaction: Transaction) -> bytes:
        path, node = transaction.create(*_plain(*request))
        return jute.string(path) + node.stat()

    return step


def special(reader: jute.Reader) -> Step:
    """Containers and nodes with a time to live: not offered."""
    del reader

    def step(transaction: Transaction) -> bytes:
        raise Refused(Code.UNIMPLEMENTED)

    return step


def delete(reader: jute.Reader) -> Step:
    """A node less; the reply is empty."""
    path = reader.string()
    version = reader.integer()

    def step(transaction: Transaction) -> bytes:
        transaction.delete(path, version)
        return b''

    return step


def set_data(reader: jute.Reader) -> Step:
    """Other data; the reply is the Stat."""
    path = reader.string()
    data = reader.buffer()
    version = reader.integer()
    return lambda transaction: transaction.set_data(
        path, data, version).stat()


def set_acl(reader: jute.Reader) -> Step:
    """Another access control list; the reply is the Stat."""
    path = reader.string()
    access = acl.read(reader)
    version = reader.integer()
    return lambda transaction: transaction.set_acl(
        path, access, version).stat()


def check(reader: jute.Reader) -> Step:
    """A condition; the reply is empty."""
    path = reader.string()
    version = reader.integer()

    def step(transaction: Transaction) -> bytes:
        transaction.check(path, version)
        return b''

    return step


def _creation(reader: jute.Reader):
    path = reader.string()
    data = reader.buffer()
    access = acl.read(reader)
    return path, data, access, reader.integer()


def _plain(path: str, data: bytes | None, access: acl.Acl, flags: int):
    if flags == CONTAINER or flags in TTL_FLAGS:
        raise Refused(Code.UNIMPLEMENTED)
    if not 0 <= flags <= LAST_FLAG:
        raise Refused(Code.BAD_ARGUMENTS)
    return path, data, access, flags


# What a multi may hold.
PARTS: dict[int, Callable[[jute.Reader], Step]] = {
    OpCode.CREATE: create,
    OpCode.CREATE2: create2,
    OpCode.CREATE_CONTAINER: special,
    OpCode.CREATE_TTL: special,
    OpCode.DELETE: delete,
    OpCode.SET_DATA: set_data,
    OpCode.CHECK: check,
}

# A condition alone is nothing (ZOOKEEPER-2623).
CHANGES = {**PARTS, OpCode.SET_ACL: set_acl}
del CHANGES[OpCode.CHECK]
