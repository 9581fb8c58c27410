"""Requests that leave the tree as it is; some set a watch."""
from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded import watches
from zc.zk.embedded.database import Database
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.tree import Znode


def exists(database: Database, client, reader: jute.Reader) -> bytes:
    """The Stat. The watch is set even where there is no node.

    Not so where there is one that may not be read (ZOOKEEPER-2590).
    """
    path = reader.string()
    if '\0' in path:
        raise Refused(Code.BAD_ARGUMENTS)
    node = database.tree.nodes.get(path)
    if node is not None:
        acl.check(node.acl, acl.READ, client.ids)
    if reader.boolean():
        database.watches.add(watches.DATA, path, client)
    return database.tree.get(path).stat()


def get_data(database: Database, client, reader: jute.Reader) -> bytes:
    """Data and Stat."""
    path = reader.string()
    node = _readable(database, client, path)
    if reader.boolean():
        database.watches.add(watches.DATA, path, client)
    return data_of(node)


def get_children(database: Database, client, reader: jute.Reader) -> bytes:
    """The names of the children."""
    path = reader.string()
    node = _readable(database, client, path)
    if reader.boolean():
        database.watches.add(watches.CHILD, path, client)
    return jute.strings(node.children or ())


def get_children2(database: Database, client, reader: jute.Reader) -> bytes:
    """The names of the children, and the Stat."""
    path = reader.string()
    node = _readable(database, client, path)
    if reader.boolean():
        database.watches.add(watches.CHILD, path, client)
    return jute.strings(node.children or ()) + node.stat()


def get_acl(database: Database, client, reader: jute.Reader) -> bytes:
    """The access control list, hashes only for who may administer it."""
    node = database.tree.get(reader.string())
    acl.check(node.acl, acl.READ | acl.ADMIN, client.ids)
    access = node.acl
    if not acl.is_allowed(access, acl.ADMIN, client.ids):
        access = acl.without_hashes(access)
    return acl.pack(access) + node.stat()


def sync(database: Database, client, reader: jute.Reader) -> bytes:
    """The path: one server is always in step with itself."""
    del database, client
    return jute.string(reader.string())


def get_ephemerals(
    database: Database, client, reader: jute.Reader,
) -> bytes:
    """The client's ephemeral nodes whose paths start with a prefix."""
    prefix = reader.string()
    mine = database.tree.ephemerals.get(client.session.id, ())
    return jute.strings(
        [path for path in mine if path.startswith(prefix)])


def count_descendants(
    database: Database, client, reader: jute.Reader,
) -> bytes:
    """How many nodes there are below a node."""
    path = reader.string()
    _readable(database, client, path)
    return jute.INT.pack(sum(1 for _ in database.tree.below(path)))


def who_am_i(database: Database, client, reader: jute.Reader) -> bytes:
    """Scheme and name of each of the client's ids."""
    del database, reader
    parts = [jute.INT.pack(len(client.ids))]
    for scheme, name in client.ids:
        if scheme == 'digest':
            name = name.partition(':')[0]
        parts.append(jute.string(scheme) + jute.string(name))
    return b''.join(parts)


def data_of(node: Znode) -> bytes:
    """Data and Stat as a reply has them."""
    return jute.buffer(node.data) + node.stat()


def _readable(database: Database, client, path: str) -> Znode:
    node = database.tree.get(path)
    acl.check(node.acl, acl.READ, client.ids)
    return node
