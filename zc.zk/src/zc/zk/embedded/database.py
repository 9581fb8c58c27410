"""Database: the tree, its watches, the sessions and the data file."""
import logging
import time
from collections.abc import Callable
from typing import Protocol
from typing import TypeVar

from zc.zk.embedded.errors import Refused
from zc.zk.embedded.journal import Journal
from zc.zk.embedded.protocol import Code
from zc.zk.embedded.sessions import Session
from zc.zk.embedded.sessions import Sessions
from zc.zk.embedded.transaction import Transaction
from zc.zk.embedded.tree import Tree
from zc.zk.embedded.watches import Watcher
from zc.zk.embedded.watches import Watches

logger = logging.getLogger('zc.zk.embedded')
Result = TypeVar('Result')

#: The zxids that a former run may have used without writing to the data file.
UNWRITTEN_ZXIDS = 1 << 32


class Requester(Watcher, Protocol):
    """A client, as requests need it."""

    @property
    def session_id(self) -> int:
        """The number of its session."""


class Database:
    """The tree, its watches, the sessions, and the last zxid.

    A server refuses a client that has seen a later zxid than its own. The
    zxids of a run must therefore exceed those of former runs, also without a
    data file: they start at the milliseconds of the clock, times 2**20.
    """

    def __init__(
        self, sessions: Sessions, journal: Journal | None = None,
    ) -> None:
        self.sessions = sessions
        self.watches = Watches()
        self._journal = journal
        self.tree = journal.tree if journal else Tree()
        last = journal.zxid if journal else 0
        self.zxid = max(now() << 20, last + UNWRITTEN_ZXIDS if last else 0)

    def change(
        self,
        steps: Callable[[Transaction], Result],
        client: Requester,
    ) -> Result:
        """Make changes, write them, fire watches: all or nothing.

        Return what `steps` returns. Raise Refused after undoing the changes.
        """
        transaction = Transaction(
            self.tree, self.zxid + 1, now(), client.session_id, client.ids)
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
        """End a session, and delete its ephemeral nodes."""
        self.sessions.drop(session)
        transaction = Transaction(self.tree, self.zxid + 1, now())
        for path in list(self.tree.ephemerals.get(session.id, ())):
            transaction.remove(path)
        self.zxid = transaction.zxid
        try:
            self._write(transaction)
        except Refused:
            # Ephemeral nodes are not in the file: only counts are missing.
            logger.warning('the end of a session was not written down')
        self.watches.fire(transaction.events, self.zxid)

    def remove_empty_containers(self) -> None:
        """Delete the containers that have lost their last child.

        As in Apache ZooKeeper, a container that never had one stays.
        """
        for path in self.tree.empty_containers():
            transaction = Transaction(self.tree, self.zxid + 1, now())
            transaction.remove(path)
            try:
                self._write(transaction)
            except Refused:
                transaction.undo()
                return
            self.zxid = transaction.zxid
            self.watches.fire(transaction.events, self.zxid)

    def _write(self, transaction: Transaction) -> None:
        if self._journal is None:
            return
        try:
            if self._journal.write(transaction):
                # The file was rewritten. No client was heard meanwhile.
                self.sessions.renew()
        except OSError as error:
            logger.error(
                '%s: cannot be written: %s', self._journal.path,
                error.strerror)
            raise Refused(Code.SYSTEM_ERROR) from error


def now() -> int:
    """Return the milliseconds since the epoch, as in ctime and mtime."""
    return time.time_ns() // 1_000_000
