"""Read a live tree, in bulk, into `Node` objects.

ZooKeeper 3.6 and newer answer many reads in one request. For older servers,
there are many requests in flight at once.
"""
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import MarshallingError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import UnimplementedError
from kazoo.interfaces import IAsyncResult
from zc.zk.encoding import decode
from zc.zk.encoding import decode_plain
from zc.zk.errors import missing_node
from zc.zk.gcpause import paused
from zc.zk.sync import multiread
from zc.zk.sync.acls import read_acls
from zc.zk.sync.multiread import GET_CHILDREN
from zc.zk.sync.multiread import GET_DATA
from zc.zk.sync.readplan import WITHOUT_CHILDREN
from zc.zk.sync.readplan import Item
from zc.zk.sync.readplan import ReadPlan
from zc.zk.sync.readplan import is_leaf_like
from zc.zk.tree import EMPTY
from zc.zk.tree import NULL
from zc.zk.tree import UNREADABLE
from zc.zk.tree import Node

#: The most reads, and bytes, in one request.
MAX_READS = 512
BATCH_BYTES = 2 ** 18

#: The number of reads in a request is adapted, so that answers have about this
#: size.
TARGET_ANSWER_BYTES = 2 ** 19

#: The most nodes that an error names.
MAX_REFUSALS = 20

#: The most requests in flight: of many reads, and of one read each.
BULK_WINDOW = 4
SINGLE_WINDOW = 256

#: The most connection losses in a row. After each, requests are halved, as a
#: server may close the connection instead of sending a large answer.
MAX_LOSSES = 12

#: The time that ZooKeeper has for one answer.
ANSWER_TIMEOUT_S = 60.0

# The ephemeralOwner of persistent nodes, and of container nodes (Java's
# EphemeralType.CONTAINER_EPHEMERAL_OWNER).
_NO_SESSION = frozenset({0, -2 ** 63})

_UNREADABLE = frozenset({UNREADABLE})
_EMPTY = frozenset({EMPTY})
_NULL = frozenset({NULL})

#: Is called with the number of nodes read, or of changes made, so far.
Progress = Callable[[int], None]


def read_tree(client: KazooClient, path: str = '/', *, acl: bool = False,
              like: Node | None = None, extras: bool | None = True,
              exact: bool = False, stat: bool = False,
              skip_unreadable: bool = False,
              progress: Progress | None = None) -> Node:
    """Return the node at `path` with all nodes below it.

    `acl`
        Whether to read the ACLs as well.
    `like`
        An expected tree. Of the nodes below `path`, only those that `like`
        has are read. Without `acl`, a leaf that equals its node of `like` may
        be the same object.
    `extras`
        What to read of the children that an expected node has beyond those of
        `like`: everything below them when true, the children alone when None,
        nothing when false.
    `exact`
        Whether to mark nodes whose data is of length 0, or null.
    `stat`
        Whether to keep the Stat of each node.
    `skip_unreadable`
        Whether to mark nodes below `path` that we may not read. The children
        that an expected node has beyond those of `like` are marked anyway.
    `progress`
        A function that is called with the number of nodes read so far.

    The result is no snapshot, as ZooKeeper reads one node after the other. It
    has every node that existed all the time. It lacks nodes that are deleted
    meanwhile, and ``/zookeeper``, which belongs to the server.

    Raise NoNodeError with the path when there is no such node. Raise
    NoAuthError when nodes may not be read; its text has a line for each of
    them, at most MAX_REFUSALS, with the path and the missing permission.
    """
    reader = _Reader(client, path, like, extras, not acl, progress)
    reader.exact, reader.stat = exact, stat
    reader.skips = skip_unreadable
    tree = reader.read()
    if acl:
        read_acls(client, tree, path)
    return tree


def refusals(paths: list[str], permissions: str) -> str:
    """Return the text of a NoAuthError: a line for each path."""
    lines = [f'{path} ({permissions})' for path in paths[:MAX_REFUSALS]]
    if len(paths) > MAX_REFUSALS:
        lines.append('and more')
    return '\n'.join(lines)


class _Reader:
    """The state of one call of `read_tree`."""

    def __init__(self, client: KazooClient, path: str, like: Node | None,
                 extras: bool | None, reuse: bool,
                 progress: Progress | None) -> None:
        path = '/' + path.strip('/')
        self.client = client
        self.plan = ReadPlan(like, extras)
        self.reuse = reuse
        self.progress = progress
        self.above = Node()
        self.first = ((client.chroot + path).rstrip('/') or '/').encode()
        self.todo: deque[Item] = deque(
            [(GET_DATA, self.first, self.above, path.rpartition('/')[2],
              like)])
        self.count = 0
        # A node with a later czxid may be younger than its parent's answer.
        self.began = client.last_zxid
        # One request goes first: an old server closes the connection at it.
        self.is_bulk = True
        self.window = 1
        self.reads = 32
        self.most_reads = MAX_READS
        self.losses = 0
        self.attempt = 0
        self.exact = self.stat = self.skips = False
        # The paths of the nodes that we may not read.
        self.refused: list[str] = []

    def read(self) -> Node:
        """Make all reads; return the node at the path."""
        in_flight: deque[tuple[int, list[Item], IAsyncResult]] = deque()
        while (self.todo or in_flight) and len(self.refused) <= MAX_REFUSALS:
            while self.todo and len(in_flight) < self.window:
                batch = list(self.next_batch())
                in_flight.append((self.attempt, batch, self.send(batch)))
            self.receive(*in_flight.popleft())
        if self.refused:
            raise NoAuthError(refusals(sorted(self.refused), 'READ'))
        if not self.above.children:
            raise NoNodeError(missing_node(self.user_path(self.first),
                                           self.client.chroot))
        node, = self.above.children.values()
        return node

    def next_batch(self) -> Iterator[Item]:
        """Take the next reads that fit in one request."""
        todo = self.todo
        size = 0
        for count in range(min(self.reads, len(todo))):
            size += len(todo[0][1]) + multiread.OVERHEAD_BYTES
            if count and size > BATCH_BYTES:
                break
            yield todo.popleft()

    def send(self, batch: list[Item]) -> IAsyncResult:
        """Send the reads of a batch."""
        if self.is_bulk:
            return multiread.send(
                self.client, [(item[0], item[1]) for item in batch])
        operation, path, *_ = batch[0]
        return multiread.send_one(self.client, operation, path)

    def receive(self, attempt: int, batch: list[Item],
                result: IAsyncResult) -> None:
        """Wait for the answer to a request; add it, or read again."""
        try:
            answers = self.answers(result)
        except UnimplementedError:
            self.is_bulk = False
            self.reads, self.window = 1, SINGLE_WINDOW
            self.todo.extendleft(reversed(batch))
        except ConnectionLoss:
            self.lose(attempt, batch)
        except MarshallingError:
            # The embedded server says this of an answer that is too long.
            if len(batch) == 1:
                raise
            self.lose(attempt, batch)
        else:
            self.losses = 0
            self.window = BULK_WINDOW if self.is_bulk else SINGLE_WINDOW
            self.add(batch, answers)
            if self.progress is not None:
                self.progress(self.count)

    @paused()
    def add(self, batch: list[Item],
            answers: Iterable[multiread.Answer]) -> None:
        """Add the answers to the tree, and the reads that follow to `todo`."""
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                self.add_failure(item, answer)
            elif isinstance(answer, list):
                self.add_children(item, answer)
            else:
                self.add_node(item, answer)

    def answers(self, result: IAsyncResult) -> Iterable[multiread.Answer]:
        """Return the answers of a reply; adapt the size of later requests."""
        if not self.is_bulk:
            try:
                value = result.get(timeout=ANSWER_TIMEOUT_S)
            except (NoNodeError, NoAuthError) as error:
                return [error]
            return [multiread.answer_of_one(value)]
        frame, offset = result.get(timeout=ANSWER_TIMEOUT_S)
        if len(frame) > TARGET_ANSWER_BYTES:
            self.reads = max(1, self.reads * TARGET_ANSWER_BYTES // len(frame))
        elif len(frame) < TARGET_ANSWER_BYTES // 2:
            self.reads = min(self.reads * 2, self.most_reads)
        return multiread.answers(frame, offset, self.stat)

    def lose(self, attempt: int, batch: list[Item]) -> None:
        """Read a batch again, in smaller requests, after a lost connection."""
        self.todo.extendleft(reversed(batch))
        if attempt != self.attempt:
            return  # in flight when an earlier request lost the connection
        self.attempt += 1
        self.losses += 1
        if self.losses > MAX_LOSSES:
            raise ConnectionLoss(
                f'{self.user_path(batch[0][1])}: the connection was lost'
                f' {self.losses} times while this was read')
        if self.is_bulk:
            self.window = 1
            self.reads = self.most_reads = max(1, self.reads // 2)

    def add_failure(self, item: Item, error: Exception) -> None:
        """Leave out a node that was deleted meanwhile; raise other errors."""
        operation, path, parent, name, like = item
        if isinstance(error, NoAuthError):
            if like is WITHOUT_CHILDREN:
                # The node exists: no more of it is needed.
                parent.children[name] = Node(name)
            elif parent is not self.above and (
                    self.skips or self.plan.like is not None and (
                        like is None or UNREADABLE in like.marks)):
                parent.children[name] = Node(name, marks=_UNREADABLE)
            else:
                self.refused.append(self.user_path(path))
            return
        if not isinstance(error, NoNodeError):
            raise type(error)(self.user_path(path))
        if operation == GET_CHILDREN:
            del parent.children[name]
        else:
            self.todo.extend(self.plan.relist(path))

    def add_node(self, item: Item, answer: multiread.Data) -> None:
        """Add a node to the tree, and the reads that follow to `todo`."""
        _, path, parent, name, like = item
        data, created, version, owner, children, stat = answer
        if created > self.began and like is not None:
            self.todo.extend(self.plan.relist(path))
        properties = decode_plain(data) if data else {}
        if properties is None:
            properties = decode(data, self.user_path(path))
        self.count += 1
        if (self.reuse and like is not None and not children and not owner
                and is_leaf_like(like, properties)):
            parent.children[name] = like
            return
        node = Node(name, properties, None, None,
                    owner not in _NO_SESSION, version)
        if self.exact and not data:
            node.marks = _NULL if data is None else _EMPTY
        if self.stat:
            node.stat = stat
        parent.children[name] = node
        if children and like is not WITHOUT_CHILDREN:
            self.todo.extend(self.plan.reads_below(
                path, parent, node, children, like))

    def add_children(self, item: Item, names: list[bytes]) -> None:
        """Add the reads of a node's children to `todo`."""
        _, path, parent, name, like = item
        self.todo.extend(self.plan.reads_of_children(
            path, parent.children[name], names, like))

    def user_path(self, path: bytes) -> str:
        """Return the path without the chroot."""
        return path.decode()[len(self.client.chroot):] or '/'
