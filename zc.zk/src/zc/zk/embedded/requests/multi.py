"""Several operations in one request: changes or reads."""
from collections.abc import Iterator

from zc.zk.embedded import jute
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import MULTI_HEADER
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import OpCode
from zc.zk.embedded.requests import reads
from zc.zk.embedded.requests.changes import PARTS
from zc.zk.embedded.transaction import Transaction

READ_PARTS = {
    OpCode.GET_DATA: reads.get_data,
    OpCode.GET_CHILDREN: reads.get_children,
}
MAX_REPLY_BYTES = 64 << 20
END = MULTI_HEADER.pack(-1, True, -1)


def multi(database: Database, client, reader: jute.Reader) -> bytes:
    """All of the changes or none.

    When one is refused, the request itself still succeeds; its results
    are 0 for the changes before, the code, and an inconsistency for the
    changes that were not tried.
    """
    steps = [(op, _part(PARTS, op)(reader)) for op in _headers(reader)]
    results: list[bytes] = []

    def run(transaction: Transaction) -> None:
        for op, step in steps:
            results.append(_header(op) + step(transaction))

    try:
        database.change(run, client.session.id, client.ids)
    except Refused as refusal:
        after = len(steps) - len(results) - 1
        if after < 0:  # all were fine, but could not be written down
            raise
        codes = [Code.OK] * len(results) + [refusal.code]
        codes += [Code.RUNTIME_INCONSISTENCY] * after
        results = [_error(code) for code in codes]
    return b''.join(results) + END


def multi_read(database: Database, client, reader: jute.Reader) -> bytes:
    """Each read with its own result or error; no watches."""
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


def _part(parts, op: int):
    try:
        return parts[op]
    except KeyError:
        raise Malformed(f'type {op} in a multi') from None


def _header(op: int) -> bytes:
    return MULTI_HEADER.pack(op, False, 0)


def _error(code: int) -> bytes:
    return MULTI_HEADER.pack(OpCode.ERROR, False, code) + jute.INT.pack(code)
