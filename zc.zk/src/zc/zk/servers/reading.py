"""Read the nodes of many servers: a watch on each, their data in bulk."""
from __future__ import annotations

import logging
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from kazoo.exceptions import MarshallingError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import UnimplementedError
from zc.zk.connection.requests import PendingRequest
from zc.zk.encoding import decode
from zc.zk.loglimit import LimitedLogger
from zc.zk.paths import join
from zc.zk.printable import printable
from zc.zk.sync import multiread
from zc.zk.watch.dispatcher import WatchDispatcher

logger = LimitedLogger(logging.getLogger('zc.zk.servers'))

#: The most bytes of data that a server's node may have; properties beyond
#: are ignored. A stranger who may write into the tree could send us 1 MB a
#: node.
MAX_DATA_BYTES = 2 ** 16

#: The most nodes, and bytes of data, of one request.
MAX_READS = 1024
MAX_ANSWER_BYTES = 2 ** 20


class NodeData(NamedTuple):
    """The properties of a node, and the czxid and version that they have.

    `is_watched` is whether an event will tell of the next change: there is
    none for a node that we may not read. `digest` tells the data apart.
    """

    created: int
    version: int
    properties: Mapping[str, Any]
    is_watched: bool = True
    digest: int = 0

    def is_same(self, other: NodeData) -> bool:
        """Return whether the data and the versions of another are the same."""
        return self._replace(properties=other.properties) == other


def read_nodes(dispatcher: WatchDispatcher, parent: str,
               names: Collection[str], known: Mapping[str, NodeData]
               ) -> dict[str, NodeData]:
    """Watch the nodes of servers and read their properties.

    Nodes that have not changed since they were `known` are not read again.
    Nodes that are deleted meanwhile are left out, but those that we may not
    read are not: they have no properties.
    """
    paths = [join(parent, name) for name in names]
    found: dict[str, NodeData] = {}
    wanted: dict[str, int] = {}
    for name, stat in zip(names, dispatcher.exists_all(paths), strict=True):
        if stat is None:
            # Deleted, or not readable: the answer to the read tells.
            wanted[name] = 0
        elif name in known and known[name][:2] == (stat.czxid, stat.version):
            found[name] = known[name]
        elif stat.dataLength > MAX_DATA_BYTES:
            logger.warning('%s: %d bytes of data are no properties, and are '
                           'ignored', printable(join(parent, name)),
                           stat.dataLength)
            found[name] = NodeData(stat.czxid, stat.version, {})
        else:
            wanted[name] = stat.dataLength
    for batch in _batches(wanted):
        paths = [join(parent, name) for name in batch]
        for name, path, answer in zip(
                batch, paths, dispatcher.client.retry(
                    _read, dispatcher, paths), strict=True):
            if isinstance(answer, tuple):
                data, created, version = answer[:3]
                found[name] = NodeData(created, version, decode(data, path),
                                       digest=hash(data))
            elif isinstance(answer, NoAuthError):
                found[name] = NodeData(0, 0, {}, False)
            elif not isinstance(answer, NoNodeError):
                raise answer
    return found


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield names in lists that one request may have, given their bytes."""
    batch: list[str] = []
    total = 0
    for name, size in sizes.items():
        if batch and (len(batch) == MAX_READS
                      or total + size > MAX_ANSWER_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch


def _read(dispatcher: WatchDispatcher,
          paths: list[str]) -> list[multiread.Answer]:
    """Return the answers for the data at these paths, in their order."""
    client = dispatcher.client
    reads = [(multiread.GET_DATA, (client.chroot + path).encode())
             for path in paths]
    try:
        frame, offset = dispatcher.send(
            multiread.send, client, reads).result()
        return list(multiread.answers(frame, offset))
    except (UnimplementedError, MarshallingError):
        # ZooKeeper before 3.6 does not know the request, and the embedded
        # server says this of an answer that is too long.
        return [_answer(pending) for pending in [
            dispatcher.send(multiread.send_one, client, *read)
            for read in reads]]


def _answer(pending: PendingRequest) -> multiread.Answer:
    try:
        return multiread.answer_of_one(pending.result())
    except (NoNodeError, NoAuthError) as error:
        return error
