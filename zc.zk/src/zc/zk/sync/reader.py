"""A live tree as `Node` objects, read in bulk.

Many nodes are asked for in one request where the server can answer that
(ZooKeeper 3.6), else in many requests that are under way at once.
"""
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import MarshallingError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import UnimplementedError
from kazoo.interfaces import IAsyncResult
from zc.zk.encoding import decode
from zc.zk.encoding import decode_plain
from zc.zk.gcpause import paused
from zc.zk.sync import multiread
from zc.zk.sync.acls import read_acls
from zc.zk.sync.multiread import GET_DATA
from zc.zk.sync.readplan import WITHOUT_CHILDREN
from zc.zk.sync.readplan import Item
from zc.zk.sync.readplan import ReadPlan
from zc.zk.sync.readplan import is_leaf_like
from zc.zk.tree import Node

#: The most reads in one request, and how many bytes they may be.
MAX_READS = 512
BATCH_BYTES = 2 ** 18

#: What an answer should not be much larger than.
TARGET_ANSWER_BYTES = 2 ** 19

#: How many requests are under way at once: of many reads, and of one.
BULK_WINDOW = 4
SINGLE_WINDOW = 256

#: How often in a row a connection may be lost. Each time requests are
#: halved, as a server may refuse to send an answer that is too large.
MAX_LOSSES = 12

#: How long an answer may take.
ANSWER_TIMEOUT_S = 60.0

# The owner of a container node, which is no session.
_CONTAINER = -2 ** 63

Progress = Callable[[int], None]


def read_tree(client: KazooClient, path: str = '/', *, acl: bool = False,
              like: Node | None = None, extras: bool | None = True,
              progress: Progress | None = None) -> Node:
    """Return the node at `path` with all that is below it.

    With `like`, a tree, only those of the nodes below are read that this has
    as well, and the children of these according to `extras`: with all that
    is below them when it is true, alone when it is None, not at all when it
    is false. Without `acl`, a node without children that is as that of `like`
    may be the very same object.

    ZooKeeper promises no consistent picture: nodes are read one after the
    other. None is missed that was there all the time. A node that vanishes
    meanwhile is left out, and so is the node ``/zookeeper`` of the server's
    own. ACLs are read when `acl` is true. `progress` is called with the
    number of nodes read so far.

    Raises NoNodeError with the path, or NoAuthError with path and permission.
    """
    tree = _Reader(client, path, like, extras, not acl, progress).read()
    if acl:
        read_acls(client, tree, path)
    return tree


def is_ephemeral(owner: int) -> bool:
    """Does a node with this ``ephemeralOwner`` end with a session?"""
    return owner not in (0, _CONTAINER)


class _Reader:
    """The state of one `read_tree`. What is to be read is an `Item`."""

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
        # A node made by a later transaction may have come meanwhile.
        self.began = client.last_zxid
        # One request goes first: an old server closes the connection.
        self.is_bulk = True
        self.window = 1
        self.reads = 32
        self.most_reads = MAX_READS
        self.losses = 0
        self.attempt = 0

    def read(self) -> Node:
        """Read everything; return the node at the path."""
        in_flight: deque = deque()
        while self.todo or in_flight:
            while self.todo and len(in_flight) < self.window:
                batch = list(self.next_batch())
                in_flight.append((self.attempt, batch, self.send(batch)))
            self.receive(*in_flight.popleft())
        if not self.above.children:
            raise NoNodeError(self.user_path(self.first))
        node, = self.above.children.values()
        return node

    def next_batch(self) -> Iterator[Item]:
        """Take what fits in one request."""
        todo = self.todo
        size = 0
        for count in range(min(self.reads, len(todo))):
            size += len(todo[0][1]) + multiread.OVERHEAD_BYTES
            if count and size > BATCH_BYTES:
                break
            yield todo.popleft()

    def send(self, batch: list[Item]) -> IAsyncResult:
        """Send a request."""
        if self.is_bulk:
            return multiread.send(
                self.client, [(item[0], item[1]) for item in batch])
        operation, path, *_ = batch[0]
        return multiread.send_one(self.client, operation, path)

    def receive(self, attempt: int, batch: list[Item],
                result: IAsyncResult) -> None:
        """Wait for the answer to a request and see what follows from it."""
        try:
            answers = self.answers(result)
        except UnimplementedError:
            self.is_bulk = False
            self.reads, self.window = 1, SINGLE_WINDOW
            self.todo.extendleft(reversed(batch))
        except ConnectionLoss:
            self.lose(attempt, batch)
        except MarshallingError:
            # What our embedded server says of an answer that is too long.
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
        """Add to the tree, and to what is to do, what the answers say."""
        for item, answer in zip(batch, answers, strict=True):
            if item[0] == GET_DATA:
                self.add_node(item, answer)
            else:
                self.add_children(item, answer)

    def answers(self, result: IAsyncResult) -> Iterable[multiread.Answer]:
        """The answers in a reply, of which others should be about as long."""
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
        return multiread.answers(frame, offset)

    def lose(self, attempt: int, batch: list[Item]) -> None:
        """Ask again after a lost connection, for less at once."""
        self.todo.extendleft(reversed(batch))
        if attempt != self.attempt:
            return  # it was under way when the connection was lost
        self.attempt += 1
        self.losses += 1
        if self.losses > MAX_LOSSES:
            raise ConnectionLoss(
                f'{self.user_path(batch[0][1])}: the connection was lost'
                f' {self.losses} times while this was read')
        if self.is_bulk:
            self.window = 1
            self.reads = self.most_reads = max(1, self.reads // 2)

    def add_node(self, item: Item, answer: multiread.Answer) -> None:
        """Add a node to the tree, and its children to what is to do."""
        _, path, parent, name, like = item
        if isinstance(answer, Exception):
            if like is WITHOUT_CHILDREN and isinstance(answer, NoAuthError):
                # It is there; more need not be known.
                parent.children[name] = Node(name)
            else:
                self.check(answer, path)
                self.todo.extend(self.plan.relist(path))
            return
        data, created, version, owner, children = answer
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
                    owner != 0 and is_ephemeral(owner), version)
        parent.children[name] = node
        if children and like is not WITHOUT_CHILDREN:
            self.todo.extend(self.plan.below(
                path, parent, node, children, like))

    def add_children(self, item: Item, answer: multiread.Answer) -> None:
        """Add the children of a node to what is to do."""
        _, path, parent, node, like = item
        if isinstance(answer, Exception):
            self.check(answer, path)
            del parent.children[node.name]
            return
        self.todo.extend(self.plan.among(path, node, answer, like))

    def check(self, error: KazooException, path: bytes) -> None:
        """A node may vanish, but must not be forbidden."""
        if isinstance(error, NoAuthError):
            raise NoAuthError(f'{self.user_path(path)} (READ)')
        if not isinstance(error, NoNodeError):
            raise type(error)(self.user_path(path))

    def user_path(self, path: bytes) -> str:
        """The path as the user knows it."""
        return path.decode()[len(self.client.chroot):] or '/'
