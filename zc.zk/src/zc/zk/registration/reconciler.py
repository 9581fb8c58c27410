"""Compare a registration's nodes with what it wants, and act on that.

It is level-triggered: `Reconciler.reconcile` reads the nodes and makes the
changes that they need, whatever event has led to the call. What it has
written it reads back: the protocol has no checksums, and a faulty network may
have changed it.
"""
import logging
from collections.abc import Callable
from collections.abc import Iterable

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import SessionExpiredError
from kazoo.protocol.states import ZnodeStat
from zc.zk.connection.logs import RateLimitedLogger
from zc.zk.connection.session import forget_session
from zc.zk.loglimit import LimitedLogger
from zc.zk.printable import printable
from zc.zk.registration.ephemerals import HIDDEN
from zc.zk.registration.ephemerals import TRANSIENT
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import Misplaced
from zc.zk.registration.ephemerals import NodeChange
from zc.zk.registration.ephemerals import Stats
from zc.zk.registration.ephemerals import is_ephemeral
from zc.zk.registration.misplaced import remove_misplaced
from zc.zk.registration.record import Record

logger = LimitedLogger(logging.getLogger('zc.zk.registration'))

#: Whose a node is that this process has created.
OURS = 'this process'

#: The number of attempts in a row when other clients change the nodes, too.
MAX_CONFLICTS = 5


class Reconciler:
    """Make nodes what their records want.

    `sessions` are the ids of all sessions that the client has had: a node of
    such a session is ours, and may be replaced. `records` returns
    the records of all registrations of the client.
    """

    def __init__(self, client: KazooClient, nodes: Ephemerals,
                 records: Callable[[], Iterable[Record]]) -> None:
        self._client = client
        self._nodes = nodes
        self._records = records
        self.sessions: set[int] = set()
        # Pairs of our session's id and another's of which a server could not
        # tell whether they differ.
        self._untold: set[tuple[int, int]] = set()
        self._quiet_logger = RateLimitedLogger(logger.logger)

    def reconcile(self, record: Record) -> bool:
        """Create, replace, update or delete nodes as the record wants.

        Returns True if all nodes are right, False if another process has
        registered some of them. Raises KazooException if the nodes cannot
        be changed now.
        """
        for _ in range(MAX_CONFLICTS):
            client_id = self._client.client_id
            if client_id is None:
                break
            self.sessions.add(client_id[0])
            try:
                if record.doubtful:
                    remove_misplaced(record, self._nodes, self._records,
                                     client_id[0])
                if record.wanted:
                    return self._ensure(record, client_id[0])
                return self._remove(record, client_id[0])
            except Conflict as conflict:
                logger.debug('%s changed meanwhile', conflict)
        raise ConnectionLoss('the nodes or the connection keep changing')

    def _remove(self, record: Record, session: int) -> bool:
        stats = self._nodes.fetch_stats(record.paths, watch=False)
        for path, stat in stats.items():
            if stat and stat.ephemeralOwner not in self.sessions:
                self._compare(path, stat, session)
        ours = [path for path, stat in stats.items()
                if stat and stat.ephemeralOwner in self.sessions]
        changes = [NodeChange(path, delete=-1) for path in ours]
        if ours and record.others:
            witnesses = self._nodes.choose_others(record.paths, record.others)
            if witnesses is None:
                record.stay()
                return False
            # They exist when our nodes go, even if other servers leave at the
            # same time: ZooKeeper makes one transaction after the other.
            changes += [NodeChange(path, is_witness=True)
                        for path in witnesses]
        self._nodes.commit(changes, record.acl)
        if ours and any(self._nodes.fetch_stats(ours, watch=False).values()):
            raise Conflict('nodes that were removed exist')
        record.session = None
        record.unread, record.made, record.spoiled = {}, {}, set()
        record.was_registered = False
        record.displaced_by = {}
        return True

    def _ensure(self, record: Record, session: int) -> bool:
        serial, before = record.serial, record.written
        stats = self._nodes.fetch_stats(record.paths)
        stale, foreign = self._classify(record, stats, session)
        missing = [path for path, stat in stats.items() if stat is None]
        is_deleted = (record.session == session
                      and record.displaced_by.keys().isdisjoint(missing))
        if missing or stale:
            record.session = None
        self._note_displaced(record, foreign, stats)
        changes = _changes(record, stats, stale, foreign)
        if len(missing) + len(stale) + len(foreign) == len(stats):
            # No node is ours. If the answer to the transaction is lost, a
            # node that is ours afterwards has this serial, or that of an
            # earlier transaction whose answer was lost as well.
            record.written = serial if before in (0, serial) else -1
        self._commit(record, changes, stats, before)
        # A faulty network may have this happen again and again.
        is_repeated = any(text.startswith(OURS) for text in stale.values())
        log = self._quiet_logger if is_repeated else logger
        for path, owner in stale.items():
            log.warning(f'{printable(path)}: replaced the node of {owner}')
        if record.session != session and len(foreign) < len(stats):
            _log_created(record, missing, is_deleted, log)
        record.session = session
        record.is_new = False
        record.was_registered = True
        record.written = serial
        self._read_back(record, session)
        return not foreign

    def _commit(self, record: Record, changes: list[NodeChange], stats: Stats,
                written: int) -> None:
        """Make changes, and note in `record` what they should have made.

        `written` is the record's `written` if they are not made.
        """
        unread = record.unread
        record.unread = unread | {
            change.path: (change.data, _version(change, stats))
            for change in changes if change.data is not None}
        created = {change.data for change in changes
                   if change.data is not None and not change.exists}
        zxid = self._client.last_zxid
        try:
            self._nodes.commit(changes, record.acl)
        except Conflict:
            record.written, record.unread = written, unread
            raise
        except Misplaced as misplaced:
            record.doubt(created, zxid)
            record.misplaced.add(misplaced.path)
            raise Conflict(misplaced.path) from None
        except KazooException:
            record.doubt(created, zxid)
            raise
        record.spoiled = set()
        known = self._client.last_zxid
        record.made.update((change.path, known) for change in changes
                           if change.data is not None and not change.exists)

    def _read_back(self, record: Record, session: int) -> None:
        """Compare what was written with what the server has.

        Raises Conflict if a node of ours differs, and no other client has
        changed it later. Begins a new session if a node that was created in
        this one has another owner. One that `_classify` has found to be of
        another process may be equal to ours.
        """
        for path, found in self._nodes.fetch_data(record.unread).items():
            written, version = record.unread[path]
            if found is None or found[1].version > version:
                continue
            data, stat = found
            if (data == written and not is_ephemeral(stat)
                    or data != written
                    and stat.ephemeralOwner in self.sessions):
                record.spoiled.add(path)
            elif (data == written and version == 0
                  and stat.ephemeralOwner != session
                  and path not in record.displaced_by):
                self._compare(path, stat, session, is_made=True)
        record.unread, record.made = {}, {}
        if record.spoiled:
            raise Conflict(', '.join(record.spoiled))

    def _classify(self, record: Record, stats: Stats, session: int
                  ) -> tuple[dict[str, str], dict[str, int]]:
        """Return the nodes of other sessions: stale ones, and foreign ones.

        Stale nodes may be replaced; they are a dictionary of path to owner,
        as text. Foreign nodes are left alone, path to session. Raises
        NodeExistsError for a foreign node in the way of a new registration.
        """
        stale, foreign = {}, {}
        for path, stat in stats.items():
            if stat is not None and path in record.spoiled:
                stale[path] = OURS + ', which was not as it was written'
                continue
            if stat is None or stat.ephemeralOwner == session:
                continue
            if not _is_made(record, path, stat):
                self._compare(path, stat, session)
            elif record.session == session:
                self._compare(path, stat, session, is_made=True)
            else:
                # The id of the session that created it was received wrongly,
                # and that session is over for us.
                self.sessions.add(stat.ephemeralOwner)
            if stat.ephemeralOwner in self.sessions:
                stale[path] = OURS + ', of an earlier session'
            elif record.is_new and is_ephemeral(stat):
                # A node that we may not read counts as ephemeral: most nodes
                # that have an address as their name are.
                stale[path] = self._nodes.describe_owner(path, stat)
            elif record.is_new:
                raise NodeExistsError(f'{path} exists and is not ephemeral')
            else:
                foreign[path] = stat.ephemeralOwner
        return stale, foreign

    def _compare(self, path: str, stat: ZnodeStat, session: int,
                 is_made: bool = False) -> None:
        """Doubt that the node at `path` belongs to another session than ours.

        If the server lists it among the nodes of our session, the id of ours,
        `session`, was received wrongly: begin a new one. `is_made` is whether
        this session has just created the node, which suffices where the
        server cannot tell.

        Raises Conflict if the node or the session is another one by now, or
        an answer was wrong.
        """
        pair = session, stat.ephemeralOwner
        if pair in self._untold and not is_made:
            return
        is_ours = is_ephemeral(stat) and stat.ephemeralOwner != HIDDEN
        try:
            is_ours = is_ours and self._nodes.is_ours(path)
        except TRANSIENT:
            raise
        except KazooException:  # ZooKeeper before 3.6 cannot tell
            self._untold.add(pair)
            is_ours = is_made
        again = self._nodes.fetch_stats([path], watch=False)[path]
        client_id = self._client.client_id
        if (again is None or again.ephemeralOwner != stat.ephemeralOwner
                or client_id is None or client_id[0] != session
                or is_made and not is_ours):
            raise Conflict(path)
        if is_ours:
            self.sessions.add(stat.ephemeralOwner)
            self._quiet_logger.warning('The id of our session was received '
                                       'wrongly; beginning a new session')
            forget_session(self._client)
            raise SessionExpiredError('our session has another id')

    def _note_displaced(self, record: Record, foreign: dict[str, int],
                        stats: Stats) -> None:
        for path, owner in foreign.items():
            if record.displaced_by.get(path) != owner:
                record.last_error = (
                    f'{printable(path)} is registered by another process: '
                    + self._nodes.describe_owner(path, stats[path]))
                logger.error(
                    '%s. It is left to them. Do two servers advertise the '
                    'same address?', record.last_error)
        record.displaced_by = foreign


def _is_made(record: Record, path: str, stat: ZnodeStat) -> bool:
    """Return whether we have created a node, which was not read back yet.

    It did not exist before that, so that it is ours if it is not younger.
    """
    return (path in record.made and is_ephemeral(stat)
            and stat.ephemeralOwner != HIDDEN
            and stat.czxid <= record.made[path])


def _version(change: NodeChange, stats: Stats) -> int:
    """Return the version of a node after a change."""
    stat = stats[change.path]
    return stat.version + 1 if stat is not None and change.exists else 0


def _changes(record: Record, stats: Stats, stale: Iterable[str],
             foreign: Iterable[str]) -> list[NodeChange]:
    changes = []
    is_outdated = record.written != record.serial
    for path, data in zip(record.paths, record.data.values(), strict=True):
        stat = stats[path]
        if stat is None:
            changes.append(NodeChange(path, data))
        elif path in foreign:
            continue
        elif path in stale or (is_outdated and not record.is_writable):
            changes.append(NodeChange(path, data, delete=stat.version))
        elif is_outdated:
            changes.append(NodeChange(path, data, exists=True))
    return changes


def _log_created(record: Record, missing: list[str], is_deleted: bool,
                 log: logging.Logger | logging.LoggerAdapter) -> None:
    names = printable(', '.join(record.paths))
    if not record.was_registered:
        log.info(f'Registered {names}')
        return
    record.reregistered += 1
    if is_deleted:
        log.warning(f'{printable(", ".join(missing))} was deleted by somebody;'
                    ' registered again')
    else:
        log.warning(f'Registered again: {names}')
