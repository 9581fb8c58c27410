"""A list of changes, made in transactions.

A transaction is made whole or not at all. Several are under way at once; as
ZooKeeper keeps their order, parents exist before their children. ACLs cannot
be part of a transaction: they are changed one by one, in their place in the
order.
"""
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import RolledBackError
from kazoo.exceptions import RuntimeInconsistency
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ZookeeperError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.interfaces import IAsyncResult
from kazoo.security import ACL
from kazoo.security import OPEN_ACL_UNSAFE
from zc.zk.changes import Change
from zc.zk.collecting import paused
from zc.zk.operations import OVERHEAD
from zc.zk.operations import Operation
from zc.zk.operations import batches
from zc.zk.operations import operations
from zc.zk.operations import send

#: What ZooKeeper takes in one request, unless its jute.maxbuffer says
#: otherwise.
MAX_REQUEST = 0xfffff

#: How many transactions are under way at once.
WINDOW = 4

#: How long the answer to one may take.
ANSWER_SECONDS = 60.0

Progress = Callable[[int], None]

_LOST = (ConnectionLoss, SessionExpiredError, ConnectionClosedError,
         KazooTimeoutError)


class ApplyError(Exception):
    """Not all changes could be made; the text says how far they went.

    ``done``
        The changes that were made.
    ``failed``
        Those of the operation that ZooKeeper refused, for the reason that is
        the error's cause. Its whole transaction was not made.
    ``unknown``
        Those that were under way when the connection was lost: each
        transaction of them was made or not.
    ``left``
        Those that were not made.

    To make the others, plan again and apply the new plan.
    """

    def __init__(self, text: str, done: Iterable[Change] = (),
                 failed: Iterable[Change] = (),
                 unknown: Iterable[Change] = (),
                 left: Iterable[Change] = ()) -> None:
        self.done = list(done)
        self.failed = list(failed)
        self.unknown = list(unknown)
        self.left = list(left)
        super().__init__(text)


def apply(client: KazooClient, changes: Iterable[Change], *,
          acl: list[ACL] | None = None, progress: Progress | None = None,
          max_request: int = MAX_REQUEST) -> list[Change]:
    """Make the changes, in their order; return those that are no notes.

    Nodes that are added get the ACL that the change names, else `acl`, by
    default everything for everyone. `progress` is called with the number of
    changes made so far.

    Raises ApplyError. When properties cannot be stored, or an operation is
    larger than `max_request`, that is before anything is sent. When it is
    interrupted, what is under way is waited for, and the KeyboardInterrupt
    has the text that an ApplyError would have.
    """
    todo = _checked(client, changes, acl or OPEN_ACL_UNSAFE, max_request)
    return _Applying(client, todo, progress).run()


@paused()
def _checked(client: KazooClient, changes: Iterable[Change], acl: list[ACL],
             max_request: int) -> list[Operation]:
    changes = [change for change in changes if not change.is_note]
    try:
        todo = list(operations(changes, acl, client.chroot))
    except ValueError as error:
        raise ApplyError(f'{error}; nothing was changed',
                         left=changes) from error
    most = max_request - OVERHEAD
    problems = [
        f'{operation.path}: {len(operation.frame):,} bytes are more than'
        f' ZooKeeper takes, which is {most:,}'
        for operation in todo if len(operation.frame) > most]
    if problems:
        raise ApplyError('\n'.join(problems) + '; nothing was changed',
                         left=changes)
    return todo


class _Applying:
    """The state of one `apply`."""

    def __init__(self, client: KazooClient, todo: list[Operation],
                 progress: Progress | None) -> None:
        self.client = client
        self.batches = list(batches(todo))
        self.begun = 0  # how many of them
        self.flying: deque[tuple[list[Operation], IAsyncResult]] = deque()
        self.progress = progress
        self.done: list[Change] = []
        self.unknown: list[Change] = []
        self.left: list[Change] = []
        self.failed: Operation | None = None
        self.cause: BaseException | None = None

    def run(self) -> list[Change]:
        """Make all changes; on the first trouble begin no more."""
        try:
            for batch in self.batches:
                self.begun += 1
                self.flying.append((batch, send(self.client, batch)))
                if len(self.flying) == WINDOW:
                    self.receive()
                if self.cause is not None:
                    break
            self.receive_all()
        except KeyboardInterrupt as error:
            self.interrupt(error)
        for batch in self.batches[self.begun:]:
            self.left += _changes(batch)
        if self.cause is None:
            return self.done
        told = self.error()
        if isinstance(self.cause, KeyboardInterrupt):
            raise KeyboardInterrupt(str(told)) from None
        raise told from self.cause

    def receive_all(self) -> None:
        """Wait for all answers."""
        while self.flying:
            self.receive()

    def receive(self) -> None:
        """Wait for an answer and note what became of the changes."""
        batch, result = self.flying[0]
        lost = None
        try:
            answers = result.get(timeout=ANSWER_SECONDS)
        except _LOST as error:
            lost = error
        except ZookeeperError as error:
            answers = [error]
        self.flying.popleft()
        changes = _changes(batch)
        if lost is not None:
            self.unknown += changes
            self.cause = self.cause or lost
            return
        refused = _refused(batch, answers)
        if refused is None:
            self.done += changes
            if self.progress is not None:
                self.progress(len(self.done))
        else:
            self.left += changes
            if self.cause is None:
                self.failed, self.cause = refused

    def interrupt(self, error: KeyboardInterrupt) -> None:
        """See what becomes of all that was begun; a second one ends that."""
        self.cause = error
        if self.begun and not any(
                flying is self.batches[self.begun - 1]
                for flying, _ in self.flying):
            # In the middle of sending.
            self.unknown += _changes(self.batches[self.begun - 1])
        self.receive_all()

    def error(self) -> ApplyError:
        """What happened, in words."""
        failed = self.failed.changes if self.failed is not None else []
        why = type(self.cause).__name__
        if self.failed is not None:
            what = f'{self.failed.path}: cannot {self.failed.name}: {why}'
        elif isinstance(self.cause, KeyboardInterrupt):
            what = 'interrupted'
        else:
            what = f'the connection was lost: {why}'
        total = len(self.done) + len(self.unknown) + len(self.left)
        text = f'{what}; {len(self.done)} of {total} changes were made'
        if self.done:
            text += f', the last was: {self.done[-1]}'
        if self.unknown:
            text += (f'; {len(self.unknown)} may have been made, from:'
                     f' {self.unknown[0]}')
        return ApplyError(text, self.done, failed, self.unknown, self.left)


def _refused(batch: list[Operation], answers: object
             ) -> tuple[Operation, Exception] | None:
    """The operation that failed, and why."""
    if not isinstance(answers, list):
        return None
    for operation, answer in zip(batch, answers, strict=False):
        if isinstance(answer, Exception) and not isinstance(
                answer, (RolledBackError, RuntimeInconsistency)):
            return operation, answer
    failures = [answer for answer in answers if isinstance(answer, Exception)]
    return (batch[0], failures[0]) if failures else None


def _changes(batch: list[Operation]) -> list[Change]:
    return [change for operation in batch for change in operation.changes]
