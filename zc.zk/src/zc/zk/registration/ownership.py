"""Which ephemeral nodes are our own, for ZooKeeper 3.6 and newer.

kazoo does not offer ZooKeeper's getEphemerals, the one request that tells of
nodes that we may not read.
"""
from typing import NamedTuple

from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.serialization import int_struct
from kazoo.protocol.serialization import read_string
from kazoo.protocol.serialization import write_string


class GetEphemerals(NamedTuple):
    """The session's ephemeral nodes whose paths begin with ``prefix``.

    Paths are those of the server, with the ``chroot``.
    """

    prefix: str
    chroot: str
    type = 103

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


def send(client: KazooClient, path: str) -> IAsyncResult:
    """Ask for those of our session's nodes whose paths begin with a path."""
    result = client.handler.async_result()
    client._call(GetEphemerals(client.chroot + path, client.chroot), result)
    return result
