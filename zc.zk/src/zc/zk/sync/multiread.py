"""Send many reads in one request, for ZooKeeper 3.6 and newer.

kazoo has no MultiRead, but its `KazooClient._call` sends any request that
serialises itself. Paths are those of the server: with the chroot, in UTF-8.
"""
import struct
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kazoo.client import KazooClient
from kazoo.exceptions import EXCEPTIONS
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import GetChildren
from kazoo.protocol.serialization import GetData
from kazoo.protocol.states import ZnodeStat

GET_DATA = 4
GET_CHILDREN = 8

#: The bytes of a read beside those of its path: a MultiHeader, the length of
#: the path and the flag for a watch.
OVERHEAD_BYTES = 14

_ERROR = -1
_INT = struct.Struct('!i')
_HEADER = struct.Struct('!i?i')
_END = _HEADER.pack(-1, True, -1)
# The head of an answer: its type; and the length of the data, the number of
# children or the code of the error.
_HEAD = struct.Struct('!i5xi')
# Of a Stat: czxid, version, ephemeralOwner and numChildren.
_STAT = struct.Struct('!q24xi8xq4xi8x')
_WHOLE_STAT = struct.Struct('!4q3iq2iq')

#: The answer to GET_DATA: the data (None for null); of the Stat czxid,
#: version, ephemeralOwner and numChildren; and the whole Stat, if asked for.
Data = tuple[bytes | None, int, int, int, int, ZnodeStat | None]

#: The answer to one read; a list has the names of the children.
Answer = Data | list[bytes] | Exception


@dataclass(frozen=True)
class MultiRead:
    """A request of pairs: GET_DATA or GET_CHILDREN, and a path."""

    operations: Sequence[tuple[int, bytes]]
    type: ClassVar[int] = 22

    def serialize(self) -> bytes:
        """Return the request's bytes to kazoo."""
        parts: list[bytes] = []
        for operation, path in self.operations:
            parts += (_HEADER.pack(operation, False, -1),
                      _INT.pack(len(path)), path, b'\0')
        parts.append(_END)
        return b''.join(parts)

    @staticmethod
    def deserialize(frame: bytes, offset: int) -> tuple[bytes, int]:
        """Return the arguments of `answers` to kazoo.

        kazoo calls this on its own thread, which is to do little work.
        """
        return frame, offset


def send(client: KazooClient,
         operations: Sequence[tuple[int, bytes]]) -> IAsyncResult:
    """Send the reads in one request; its value is for `answers`."""
    result = client.handler.async_result()
    client._call(MultiRead(operations), result)
    return result


def send_one(client: KazooClient, operation: int,
             path: bytes) -> IAsyncResult:
    """Send one read, which any server knows; see `answer_of_one`."""
    request = GetData if operation == GET_DATA else GetChildren
    result = client.handler.async_result()
    client._call(request(path.decode(), None), result)
    return result


def answer_of_one(value: tuple | list[str]) -> Answer:
    """Return what `answers` would yield for the value of `send_one`."""
    if isinstance(value, list):
        return [name.encode() for name in value]
    data, stat = value
    return (data, stat.czxid, stat.version, stat.ephemeralOwner,
            stat.numChildren, stat)


def answers(frame: bytes, offset: int, stat: bool = False
            ) -> Iterator[Answer]:
    """Yield the answer to each read; an exception where it failed.

    `stat` asks for the whole Stat of each node.
    """
    read_head = _HEAD.unpack_from
    read_stat = _STAT.unpack_from
    end = len(frame) - len(_END)
    while offset < end:
        kind, size = read_head(frame, offset)
        offset += _HEAD.size
        if kind == GET_DATA:
            data = None if size < 0 else frame[offset:offset + size]
            offset += max(size, 0)
            created, version, owner, children = read_stat(frame, offset)
            yield data, created, version, owner, children, (
                ZnodeStat(*_WHOLE_STAT.unpack_from(frame, offset))
                if stat else None)
            offset += _STAT.size
        elif kind == GET_CHILDREN:
            names = []
            for _ in range(size):
                begin = offset + _INT.size
                offset = begin + _INT.unpack_from(frame, offset)[0]
                names.append(frame[begin:offset])
            yield names
        elif kind == _ERROR:
            yield EXCEPTIONS[size]()
        else:
            raise ValueError(f'an answer of the unknown type {kind}')
