"""Requests that set, check or remove watches."""
from zc.zk.embedded import jute
from zc.zk.embedded import watches
from zc.zk.embedded.database import Database
from zc.zk.embedded.database import Requester
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.protocol import EventType

# Modes of addWatch (AddWatchMode), and types of watches to check or remove
# (Watcher.WatcherType).
MODES = {0: watches.PERSISTENT, 1: watches.RECURSIVE}
KINDS = {
    1: (watches.CHILD,),
    2: (watches.DATA,),
    3: (watches.CHILD, watches.DATA, watches.PERSISTENT,
        watches.RECURSIVE),
    4: (watches.PERSISTENT,),
    5: (watches.RECURSIVE,),
}


def set_watches(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Set the watches of a lost connection again.

    For a node that changed after the last zxid that the client saw, send the
    event at once and set no watch.
    """
    since = reader.long()
    for path in reader.strings():
        _arm_data(database, client, path, since)
    for path in reader.strings():
        _arm_exists(database, client, path)
    for path in reader.strings():
        _arm_child(database, client, path, since)
    return b''


def set_watches2(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Do as `set_watches`, for persistent and recursive watches, too."""
    set_watches(database, client, reader)
    for kind in (watches.PERSISTENT, watches.RECURSIVE):
        for path in reader.strings():
            database.watches.add(kind, path, client)
    return b''


def add_watch(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Set a persistent or recursive watch."""
    path = reader.string()
    mode = reader.integer()
    if mode not in MODES:
        raise Malformed(f'mode {mode} of a watch')
    database.watches.add(MODES[mode], path, client)
    return jute.INT.pack(Code.OK)


def check_watches(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Refuse (NO_WATCHER) where the client has no such watch."""
    del database
    for key in _named(reader):
        if key in client.watching:
            return b''
    raise Refused(Code.NO_WATCHER)


def remove_watches(
    database: Database, client: Requester, reader: jute.Reader,
) -> bytes:
    """Remove watches; refuse (NO_WATCHER) where there are none."""
    removed = [database.watches.remove(*key, client)
               for key in _named(reader)]
    if not any(removed):
        raise Refused(Code.NO_WATCHER)
    return b''


def _named(reader: jute.Reader) -> list[tuple[str, str]]:
    path = reader.string()
    kinds = KINDS.get(reader.integer())
    if kinds is None:
        raise Malformed('unknown kind of watches')
    return [(kind, path) for kind in kinds]


def _arm_data(
    database: Database, client: Requester, path: str, since: int,
) -> None:
    node = database.tree.nodes.get(path)
    if node is None:
        client.notify(EventType.DELETED, path)
    elif node.mzxid > since:
        client.notify(EventType.CHANGED, path)
    else:
        database.watches.add(watches.DATA, path, client)


def _arm_exists(
    database: Database, client: Requester, path: str,
) -> None:
    if path in database.tree.nodes:
        client.notify(EventType.CREATED, path)
    else:
        database.watches.add(watches.DATA, path, client)


def _arm_child(
    database: Database, client: Requester, path: str, since: int,
) -> None:
    node = database.tree.nodes.get(path)
    if node is None:
        client.notify(EventType.DELETED, path)
    elif node.pzxid > since:
        client.notify(EventType.CHILDREN, path)
    else:
        database.watches.add(watches.CHILD, path, client)
