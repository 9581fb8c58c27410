"""Requests that read the tree; some set a watch."""
from zc.zk.embedded import acl
from zc.zk.embedded import jute
from zc.zk.embedded import watches
from zc.zk.embedded.database import Database
from zc.zk.embedded.database import Requester
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.tree import Znode


def exists(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the Stat; set a watch also where there is no node.

    Refuse (NO_AUTH) a node that may not be read (ZOOKEEPER-2590).
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


def get_data(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the data and the Stat."""
    return data_of(_read(database, client, reader, watches.DATA))


def get_children(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the names of the children."""
    node = _read(database, client, reader, watches.CHILD)
    return jute.strings(node.children or ())


def get_children2(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the names of the children, and the Stat."""
    node = _read(database, client, reader, watches.CHILD)
    return jute.strings(node.children or ()) + node.stat()


def get_acl(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the ACL and the Stat; hide hashes without ADMIN."""
    node = database.tree.get(reader.string())
    acl.check(node.acl, acl.READ | acl.ADMIN, client.ids)
    access = node.acl
    if not acl.is_allowed(access, acl.ADMIN, client.ids):
        access = acl.without_hashes(access)
    return acl.pack(access) + node.stat()


def sync(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the path: a single server is always in sync."""
    del database, client
    return jute.string(reader.string())


def get_ephemerals(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the session's ephemeral nodes whose paths have a prefix."""
    prefix = reader.string()
    mine = database.tree.ephemerals.get(client.session_id, ())
    return jute.strings(
        [path for path in mine if path.startswith(prefix)])


def count_descendants(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the number of nodes below a node."""
    path = reader.string()
    _readable(database, client, path)
    return jute.INT.pack(sum(1 for _ in database.tree.below(path)))


def who_am_i(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Reply with the scheme and name of each identity of the client."""
    del database, reader
    parts = [jute.INT.pack(len(client.ids))]
    for scheme, name in client.ids:
        if scheme == 'digest':
            name = name.partition(':')[0]
        parts.append(jute.string(scheme) + jute.string(name))
    return b''.join(parts)


def data_of(node: Znode) -> bytes:
    """Return the data and the Stat as the body of a reply."""
    return jute.buffer(node.data) + node.stat()


def _read(
    database: Database, client: Requester, reader: jute.Reader, kind: str,
) -> Znode:
    """Return the node that a request names; set the watch it asks for."""
    path = reader.string()
    node = _readable(database, client, path)
    if reader.boolean():
        database.watches.add(kind, path, client)
    return node


def _readable(
    database: Database, client: Requester, path: str,
) -> Znode:
    node = database.tree.get(path)
    acl.check(node.acl, acl.READ, client.ids)
    return node
