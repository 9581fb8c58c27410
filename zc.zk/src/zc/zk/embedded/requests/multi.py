"""Requests of several operations: changes (multi) or reads (multiRead)."""
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TypeVar

from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.database import Requester
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import MULTI_HEADER
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.requests import reads
from zc.zk.embedded.requests.changes import PARTS
from zc.zk.embedded.transaction import Transaction

Part = TypeVar('Part')

# The reads that a multiRead may have.
READ_PARTS = {
    OpCode.GET_DATA: reads.get_data,
    OpCode.GET_CHILDREN: reads.get_children,
}
MAX_REPLY_BYTES = 64 << 20
END = MULTI_HEADER.pack(-1, True, -1)


def multi(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Make all of the changes or none.

    When a change is refused, the request itself succeeds. Its results are
    OK for the changes before, the code for the refused one, and
    RUNTIME_INCONSISTENCY for the changes after it.
    """
    steps = [(op, _part(PARTS, op)(reader)) for op in _headers(reader)]
    results: list[bytes] = []

    def run(transaction: Transaction) -> None:
        for op, step in steps:
            results.append(_header(op) + step(transaction))

    try:
        database.change(run, client)
    except Refused as refusal:
        after = len(steps) - len(results) - 1
        if after < 0:  # all were made, but could not be written
            raise
        codes = [Code.OK] * len(results) + [refusal.code]
        codes += [Code.RUNTIME_INCONSISTENCY] * after
        results = [_error(code) for code in codes]
    return b''.join(results) + END


def multi_read(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Make each read, with its own result or error; set no watches."""
    results = []
    size = 0
    for op in _headers(reader):
        read = _part(READ_PARTS, op)
        path = reader.string()
        reader.boolean()
        quiet = jute.Reader(jute.string(path) + b'\0')
        try:
            results.append(_header(op) + read(database, client, quiet))
        except Refused as refusal:
            results.append(_error(refusal.code))
        size += len(results[-1])
        if size > MAX_REPLY_BYTES:
            raise Malformed(
                f'the reply would be over {MAX_REPLY_BYTES >> 20} MiB')
    return b''.join(results) + END


def _headers(reader: jute.Reader) -> Iterator[int]:
    while True:
        op = reader.integer()
        done = reader.boolean()
        reader.integer()
        if done:
            return
        yield op


def _part(parts: Mapping[int, Part], op: int) -> Part:
    try:
        return parts[op]
    except KeyError:
        raise Malformed(f'type {op} in a multi') from None


def _header(op: int) -> bytes:
    return MULTI_HEADER.pack(op, False, 0)


def _error(code: int) -> bytes:
    return MULTI_HEADER.pack(OpCode.ERROR, False, code) + jute.INT.pack(code)
