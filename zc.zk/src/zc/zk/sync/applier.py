"""Make a list of changes, in transactions.

ZooKeeper makes a transaction whole or not at all. Several are in flight at
once. ZooKeeper keeps the order of a client's requests, so that parents exist
before their children. ACLs cannot be part of a transaction: they are changed
one by one, in their place in the order.

After an ACL, other changes wait for the answer: ZooKeeper checks a request
that comes before that by the former ACL (PrepRequestProcessor does not note
the new one among its outstanding changes). ACLs at the end of the order wait
until all other changes are made: they may take away the rights that these
need, should some of them have to be made again.
"""
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from itertools import chain
from itertools import repeat

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
from zc.zk.gcpause import paused
from zc.zk.printable import printable
from zc.zk.sync.change import Change
from zc.zk.sync.operations import Operation
from zc.zk.sync.operations import batches
from zc.zk.sync.operations import longest
from zc.zk.sync.operations import operations
from zc.zk.sync.operations import send

#: The largest request that ZooKeeper accepts: the default of jute.maxbuffer
#: (ZooKeeper Administrator's Guide, Unsafe Options).
MAX_REQUEST_BYTES = 0xfffff

#: The most transactions in flight.
WINDOW = 4

#: The time that ZooKeeper has for one answer.
ANSWER_TIMEOUT_S = 60.0

Progress = Callable[[int], None]

# What became of a batch.
_DONE = 'done'
_UNKNOWN = 'unknown'
_LEFT = 'left'

_LOST = (ConnectionLoss, SessionExpiredError, ConnectionClosedError,
         KazooTimeoutError)


class ApplyError(Exception):
    """Not all changes could be made; the text says how many were.

    Each attribute is a list of changes.

    `done`
        The changes that were made.
    `failed`
        The changes of the operation that ZooKeeper refused. The reason is the
        cause of this exception. No change of the transaction was made.
    `unknown`
        The changes that were in flight when the connection was lost. Each of
        their transactions was either made or not.
    `left`
        The changes that were not made.

    To make the rest, plan again and apply the new plan.
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
          max_request: int = MAX_REQUEST_BYTES) -> list[Change]:
    """Make the changes, in their order; return them without the notes.

    A new node gets the ACL that its change names, else `acl`, by default
    ``world:anyone:cdrwa``. `progress` is called with the number of changes
    made so far.

    Raise ApplyError. Nothing is sent when properties cannot be stored, or an
    operation has more than `max_request` bytes. At a KeyboardInterrupt, wait
    for the answers in flight and raise KeyboardInterrupt with the text of an
    ApplyError; its cause is ZooKeeper's refusal, if there was one.
    """
    todo = _checked(client, changes, acl or OPEN_ACL_UNSAFE, max_request)
    return _Applier(client, todo, progress).run()


@paused()
def _checked(client: KazooClient, changes: Iterable[Change], acl: list[ACL],
             max_request: int) -> list[Operation]:
    changes = [change for change in changes if not change.is_note]
    try:
        todo = list(operations(changes, acl, client.chroot))
    except ValueError as error:
        raise ApplyError(f'{error}; nothing was changed',
                         left=changes) from error
    most = longest(max_request)
    problems = [
        f'{printable(operation.path)}: {len(operation.frame):,} bytes are more'
        f' than ZooKeeper takes, which is {most:,}'
        for operation in todo if len(operation.frame) > most]
    if problems:
        raise ApplyError('\n'.join(problems) + '; nothing was changed',
                         left=changes)
    return todo


class _Applier:
    """The state of one call of `apply`.

    Ctrl-C may come between any two instructions. Each batch therefore has a
    fate, which is set: a counter could count a batch twice, or not at all.
    """

    def __init__(self, client: KazooClient, todo: list[Operation],
                 progress: Progress | None) -> None:
        self.client = client
        self.batches = list(batches(todo))
        # The number of the first of the changes of ACLs at the end.
        self.first_of_last_acls = len(self.batches)
        while self.is_acl(self.first_of_last_acls - 1):
            self.first_of_last_acls -= 1
        # The fates of the batches that were begun, in their order.
        self.fates: list[str] = []
        # The number of each batch in flight, and its answer.
        self.in_flight: deque[tuple[int, IAsyncResult]] = deque()
        self.progress = progress
        self.failed: Operation | None = None
        self.cause: Exception | None = None
        self.is_interrupted = False

    def run(self) -> list[Change]:
        """Send all batches; stop sending at the first failure."""
        try:
            for number, batch in enumerate(self.batches):
                if number == self.first_of_last_acls or (
                        number and self.is_acl(number - 1)
                        and not self.is_acl(number)):
                    self.receive_all()
                    if self.cause is not None:
                        break
                self.fates.append(_UNKNOWN)
                self.in_flight.append((number, send(self.client, batch)))
                if len(self.in_flight) == WINDOW:
                    self.receive()
                if self.cause is not None:
                    break
            self.receive_all()
        except KeyboardInterrupt:
            self.is_interrupted = True
            self.receive_all()  # a second Ctrl-C ends the wait
        if self.is_interrupted:
            raise KeyboardInterrupt(str(self.error())) from self.cause
        if self.cause is not None:
            raise self.error() from self.cause
        return self.changes_with(_DONE)

    def is_acl(self, number: int) -> bool:
        """Return whether a batch is a change of an ACL."""
        return number >= 0 and self.batches[number][0].is_alone

    def receive_all(self) -> None:
        """Wait for all answers in flight."""
        while self.in_flight:
            self.receive()

    def receive(self) -> None:
        """Wait for the oldest answer in flight; set the fate of its batch."""
        number, result = self.in_flight[0]
        self.fates[number] = self.fate(self.batches[number], result)
        self.in_flight.popleft()
        if self.fates[number] is _DONE and self.progress is not None:
            self.progress(sum(
                _count(batch) for batch, fate in zip(
                    self.batches, self.fates, strict=False)
                if fate is _DONE))

    def fate(self, batch: list[Operation], result: IAsyncResult) -> str:
        """Wait for an answer; return the fate of its batch.

        Keep the cause of the first failure.
        """
        try:
            answers = result.get(timeout=ANSWER_TIMEOUT_S)
        except _LOST as error:
            self.cause = self.cause or error
            return _UNKNOWN
        except ZookeeperError as error:
            answers = [error]
        refused = _refused(batch, answers)
        if refused is None:
            return _DONE
        if self.cause is None:
            self.failed, self.cause = refused
        return _LEFT

    def changes_with(self, fate: str) -> list[Change]:
        """Return the changes of all batches with a fate."""
        fates = chain(self.fates, repeat(_LEFT))
        return [change
                for batch, its in zip(self.batches, fates, strict=False)
                if its is fate
                for operation in batch for change in operation.changes]

    def error(self) -> ApplyError:
        """Return the exception that says how many changes were made."""
        done, unknown, left = map(self.changes_with, (_DONE, _UNKNOWN, _LEFT))
        failed = self.failed.changes if self.failed is not None else []
        text = self.reason() + (
            f'; {len(done)} of {len(done) + len(unknown) + len(left)} changes'
            ' were made')
        if done:
            text += f', the last was: {printable(done[-1])}'
        if unknown:
            text += (f'; {len(unknown)} may have been made, from:'
                     f' {printable(unknown[0])}')
        return ApplyError(text, done, failed, unknown, left)

    def reason(self) -> str:
        """Return why not all changes were made."""
        why = type(self.cause).__name__
        reasons = []
        if self.failed is not None:
            reasons.append(
                f'{printable(self.failed.path)}: cannot {self.failed.name}:'
                f' {why}')
        elif self.cause is not None:
            reasons.append(f'the connection was lost: {why}')
        if self.is_interrupted:
            reasons.append('interrupted')
        return '; '.join(reasons)


def _refused(batch: list[Operation], answers: object
             ) -> tuple[Operation, Exception] | None:
    """Return the operation that failed and its exception; None if none did."""
    if not isinstance(answers, list):
        return None
    for operation, answer in zip(batch, answers, strict=False):
        if isinstance(answer, Exception) and not isinstance(
                answer, (RolledBackError, RuntimeInconsistency)):
            return operation, answer
    failures = [answer for answer in answers if isinstance(answer, Exception)]
    return (batch[0], failures[0]) if failures else None


def _count(batch: list[Operation]) -> int:
    return sum(len(operation.changes) for operation in batch)
