"""What the server knows: the tree, who watches it, and who is there."""
import logging
import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import TypeVar

from zc.zk.embedded.acl import Id
from zc.zk.embedded.errors import Refused
from zc.zk.embedded.journal import Journal
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.sessions import Session
from zc.zk.embedded.sessions import Sessions
from zc.zk.embedded.transaction import Transaction
from zc.zk.embedded.tree import Tree
from zc.zk.embedded.watches import Watches

logger = logging.getLogger('zc.zk.embedded')
Result = TypeVar('Result')

EPOCH = 1 << 32  # room for the zxids of a run that nothing was written for


class Database:
    """The tree, its watches, the sessions, and the number of changes.

    A client that has seen a zxid beyond ours is turned away, so zxids
    must go up from one run to the next, also where nothing is kept: they
    start at the milliseconds of the clock.
    """

    def __init__(
        self, sessions: Sessions, journal: Journal | None = None,
    ) -> None:
        self.sessions = sessions
        self.watches = Watches()
        self._journal = journal
        self.tree = journal.tree if journal else Tree()
        last = journal.zxid if journal else 0
        self.zxid = max(now() << 20, last + EPOCH if last else 0)

    def change(
        self,
        steps: Callable[[Transaction], Result],
        session: int = 0,
        ids: Iterable[Id] = (),
    ) -> Result:
        """Make changes, write them down, tell watchers: all or nothing."""
        transaction = Transaction(
            self.tree, self.zxid + 1, now(), session, ids)
        try:
            result = steps(transaction)
            self._write(transaction)
        except BaseException:
            transaction.undo()
            raise
        self.zxid = transaction.zxid
        self.watches.fire(transaction.events, self.zxid)
        return result

    def end(self, session: Session) -> None:
        """A session is over, and its ephemeral nodes with it."""
        self.sessions.drop(session)
        transaction = Transaction(self.tree, self.zxid + 1, now())
        for path in list(self.tree.ephemerals.get(session.id, ())):
            transaction.remove(path)
        self.zxid = transaction.zxid
        try:
            self._write(transaction)
        except Refused:
            # Only counts of children were to be written.
            logger.warning('the end of a session was not written down')
        self.watches.fire(transaction.events, self.zxid)

    def _write(self, transaction: Transaction) -> None:
        if self._journal is None:
            return
        try:
            if self._journal.write(transaction):
                # Rewriting a large file takes time, in which nobody
                # was listened to.
                self.sessions.renew()
        except OSError as error:
            logger.error(
                '%s: cannot be written: %s', self._journal.path,
                error.strerror)
            raise Refused(Code.SYSTEM_ERROR) from error


def now() -> int:
    """Milliseconds, as nodes carry them."""
    return time.time_ns() // 1_000_000
