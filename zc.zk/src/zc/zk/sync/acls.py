"""Read the access control lists of a live tree."""
import logging
from collections import deque

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.interfaces import IAsyncResult
from zc.zk.permissions import from_acl
from zc.zk.permissions import is_hidden
from zc.zk.printable import printable
from zc.zk.tree import UNREADABLE
from zc.zk.tree import Node

logger = logging.getLogger('zc.zk.sync')

#: The most requests in flight; each asks for the ACL of one node.
WINDOW = 256

#: The time that ZooKeeper has for one answer.
ANSWER_TIMEOUT_S = 60.0


def read_acls(client: KazooClient, tree: Node, path: str) -> None:
    """Set `acl` of the nodes; drop each node that is deleted meanwhile.

    `path` is the path of `tree`. Nodes that are marked as unreadable have no
    ACL. Raise NoNodeError with the path when the top node is gone, and
    NoAuthError with the path and the missing permission.
    """
    in_flight: deque[tuple[str, Node, Node, IAsyncResult]] = deque()
    above = Node(children={tree.name: tree})
    todo = [('/' + path.strip('/'), above, tree)]
    while todo or in_flight:
        while todo and len(in_flight) < WINDOW:
            path, parent, node = todo.pop()
            if UNREADABLE in node.marks:
                continue
            in_flight.append((path, parent, node, client.get_acls_async(path)))
            base = path.rstrip('/')
            todo.extend((f'{base}/{name}', node, child)
                        for name, child in node.children.items())
        if not in_flight:
            break
        path, parent, node, result = in_flight.popleft()
        try:
            acl = result.get(timeout=ANSWER_TIMEOUT_S)[0]
            node.acl = from_acl(acl)
            if any(entry.id.scheme == 'digest' and is_hidden(entry.id.id)
                   for entry in acl):
                logger.warning('%s: we may not see its whole ACL',
                               printable(path))
        except NoNodeError:
            if parent is above:
                raise NoNodeError(path) from None
            del parent.children[node.name]
        except NoAuthError:
            raise NoAuthError(f'{path} (READ or ADMIN)') from None
