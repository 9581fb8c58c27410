"""Records of the data file: nodes as bytes, with checksums.

A record is a HEADER, a zxid and entries: whole nodes, counts, deletions.
"""
import struct
import zlib
from collections.abc import Iterable
from collections.abc import Iterator
from typing import BinaryIO

from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded.errors import Damaged
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Torn
from zc.zk.embedded.tree import CONTAINER_OWNER
from zc.zk.embedded.tree import Tree
from zc.zk.embedded.tree import Znode

MAGIC = b'zc.zk.embedded data 1\n'

# Size, checksum of the size, checksum of the body. Without a checksum of the
# size, a wrong size in the middle would look like a torn last record.
HEADER = struct.Struct('>III')
SIZE = struct.Struct('>I')
STATE = struct.Struct('>qqqqqiii')
COUNT = struct.Struct('>iq')

KIND_NODE = b'N'
KIND_CONTAINER = b'K'
KIND_COUNT = b'C'
KIND_GONE = b'G'


def frame(zxid: int, entries: Iterable[bytes]) -> bytes:
    """Return a record: its entries are applied together or not at all."""
    body = jute.LONG.pack(zxid) + b''.join(entries)
    size = SIZE.pack(len(body))
    return size + SIZE.pack(zlib.crc32(size)) + SIZE.pack(
        zlib.crc32(body)) + body


def node_entry(path: str, node: Znode) -> bytes:
    """Return the entry for a whole node, without its children."""
    kind = KIND_CONTAINER if node.owner == CONTAINER_OWNER else KIND_NODE
    return kind + jute.string(path) + STATE.pack(
        node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime,
        node.version, node.creations, node.aversion,
    ) + jute.buffer(node.data) + acl.pack(node.acl)


def count_entry(path: str, node: Znode) -> bytes:
    """Return the entry for what a new or deleted child changes in a node."""
    return KIND_COUNT + jute.string(path) + COUNT.pack(
        node.creations, node.pzxid)


def gone_entry(path: str) -> bytes:
    """Return the entry for a deleted node."""
    return KIND_GONE + jute.string(path)


def read_frame(file: BinaryIO, end: int) -> bytes:
    """Return the body of the record at the position of `file`.

    `end` is the size of the file. Raise Torn for an incomplete last record,
    Damaged for any other whose checksums differ.
    """
    at = file.tell()
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise Torn
    size, size_sum, body_sum = HEADER.unpack(header)
    if zlib.crc32(header[:SIZE.size]) != size_sum:
        raise Damaged
    after = at + HEADER.size + size
    if after > end:
        raise Torn
    body = file.read(size)
    if zlib.crc32(body) != body_sum:
        raise Torn if after == end else Damaged
    return body


def apply(body: bytes, tree: Tree) -> int:
    """Apply a record to a tree that is not linked yet; return its zxid.

    Raise Malformed, or KeyError for the count of an unknown node.
    """
    reader = jute.Reader(body)
    zxid = reader.long()
    while reader.left:
        kind = reader.take(1)
        path = reader.string()
        if kind in (KIND_NODE, KIND_CONTAINER):
            tree.nodes[path] = node = _read_node(reader)
            node.owner = CONTAINER_OWNER if kind == KIND_CONTAINER else 0
        elif kind == KIND_GONE:
            tree.nodes.pop(path, None)
        elif kind == KIND_COUNT:
            node = tree.nodes[path]
            node.creations, node.pzxid = COUNT.unpack(
                reader.take(COUNT.size))
        else:
            raise Malformed(f'an entry of kind {kind!r}')
    return zxid


def snapshot(tree: Tree, zxid: int, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield records of about `size` bytes with all persistent nodes."""
    entries: list[bytes] = []
    length = 0
    for path, node in tree.nodes.items():
        if node.is_ephemeral:
            continue
        entries.append(node_entry(path, node))
        length += len(entries[-1])
        if length > size:
            yield frame(zxid, entries)
            entries, length = [], 0
    yield frame(zxid, entries)


def _read_node(reader: jute.Reader) -> Znode:
    node = Znode()
    (node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime,
     node.version, node.creations, node.aversion) = STATE.unpack(
         reader.take(STATE.size))
    node.data = reader.buffer()
    node.acl = acl.read(reader)
    return node
