"""Nodes that a faulty network has put at other paths than were asked for.

They belong to our session, and would stay for as long as it lives. The answer
tells the path of such a node, unless the answer is lost, too: then the server
is asked for all nodes of our session (getEphemerals). The data may be wrong as
well, so that a node that is as new, at a path like ours, is ours whatever its
data.

A node stays if a registration with the same client wants it, or if the
application has created it with a `SessionClient`. A KazooClient that was
passed in does not tell what it is asked for; there a node of the application
goes if it is created in the moments of such a doubt, and is equal to ours in
its data, or nearly so in its path.
"""
import logging
import operator
from collections.abc import Callable
from collections.abc import Iterable

from kazoo.exceptions import BadArgumentsError
from kazoo.exceptions import NoAuthError
from zc.zk.connection.session import SEQUENCE_LENGTH
from zc.zk.paths import split
from zc.zk.printable import printable
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import NodeChange
from zc.zk.registration.record import Record

logger = logging.getLogger('zc.zk.registration')

#: The number of characters in which the path of a misplaced node may differ.
MAX_WRONG_CHARACTERS = 3


def remove_misplaced(record: Record, nodes: Ephemerals,
                     records: Callable[[], Iterable[Record]],
                     session: int) -> None:
    """Remove nodes of our session that were created in place of a record's.

    The nodes of the records that `records` returns, all those of the client,
    stay.
    """
    others = record.misplaced | nodes.fetch_ours(split(record.paths[0])[0])
    # In this order: others may have registered nodes meanwhile.
    own = {path for each in (record, *records()) for path in each.paths}
    for path in others - own:
        if nodes.is_asked_for(path):
            continue
        try:
            found = nodes.fetch_data([path])[path]
        except (BadArgumentsError, ValueError):
            continue  # the answer told what is no path
        if found is None or found[1].ephemeralOwner != session:
            continue
        data, stat = found
        # Older nodes are of the application.
        if stat.czxid > record.doubtful_since and (
                data in record.doubtful or is_like(path, record.paths)):
            try:
                nodes.commit([NodeChange(path, delete=stat.version)],
                             record.acl)
                what = 'removed'
            except NoAuthError:
                what = 'we may not remove'
            logger.warning('%s: %s the node %s, which was created in its'
                           ' place', printable(', '.join(record.paths)), what,
                           printable(path))
    record.misplaced, record.doubtful = set(), set()


def is_like(path: str, paths: Iterable[str]) -> bool:
    """Return whether a path may be one of `paths`, changed on its way.

    `MAX_WRONG_CHARACTERS` are wrong at most. The number that ZooKeeper adds
    to the path of a sequential node does not count.
    """
    return any(
        len(path) - len(other) in (0, SEQUENCE_LENGTH)
        and sum(map(operator.ne, path, other)) <= MAX_WRONG_CHARACTERS
        for other in paths)
