"""Compare a registration's nodes with what it wants, and act on that.

It is level-triggered: `Reconciler.reconcile` reads the nodes and makes the
changes that they need, whatever event has led to the call.
"""
import logging
import threading
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import InvalidStateError

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ThrottledOpError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from kazoo.security import Permissions
from zc.zk.connection.session import forget_session
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.printable import printable
from zc.zk.registration.ephemerals import HIDDEN
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import NodeChange
from zc.zk.registration.ephemerals import Stats
from zc.zk.registration.ephemerals import is_ephemeral

logger = logging.getLogger('zc.zk.registration')

#: Errors that end with a new connection, or with the overload of a server.
TRANSIENT = (ConnectionLoss, SessionExpiredError, ThrottledOpError)

#: The number of attempts in a row when other clients change the nodes, too.
MAX_CONFLICTS = 5


class Record:
    """The wanted and the last seen state of a registration's nodes.

    Any thread may read it, set `wanted`, and call `change`, `note_data`,
    `leave` and `stay`.
    Everything else is changed by the registrar's thread only.

    `path` is the parent's path as given, `real_path` the same with links
    followed. `names` are the names of the nodes, which all get `data`.
    """

    def __init__(self, path: str, real_path: str, names: Iterable[str],
                 data: bytes, acl: list[ACL]) -> None:
        self.path = path
        self.acl = acl
        #: The wanted data of each node, by name.
        self.data = dict.fromkeys(names, data)
        self.move(real_path)
        #: Whether the nodes are to exist.
        self.wanted = True
        #: How many nodes of others must be left for ours to be removed.
        self.others = 0
        #: The number of the wanted data: each `change` adds 1.
        self.serial = 1
        #: `serial` last written to the nodes; 0 never, -1 unknown, because
        #: the answer was lost.
        self.written = 0
        #: Whether the nodes have not been ours yet.
        self.is_new = True
        #: The session whose nodes we last saw or made; None: there are none.
        self.session: int | None = None
        #: Whether the nodes have been ours since the last removal.
        self.was_registered = False
        #: Nodes of other sessions at our paths: path to session.
        self.displaced_by: dict[str, int] = {}
        #: How many times nodes have been created again.
        self.reregistered = 0
        #: What last went wrong, None for nothing.
        self.last_error: str | None = None
        #: How many attempts in a row have failed.
        self.failures = 0
        #: The failure that was last logged, and its time.monotonic().
        self.reported = ('', 0.0)
        #: Futures of callers that wait for the next attempt.
        self.waiting: list[Future[bool]] = []
        self._lock = threading.Lock()

    def move(self, real_path: str) -> None:
        """Place the nodes below the node at `real_path`."""
        self.paths = tuple(join(real_path, name) for name in self.data)

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """Replace the data of each node by what `change` returns for it."""
        with self._lock:
            self.data = {name: change(data)
                         for name, data in self.data.items()}
            self.serial += 1

    def leave(self, others: int = 0) -> None:
        """Have the nodes removed, if `others` nodes of others are left."""
        with self._lock:
            self.others = others
            self.wanted = False

    def stay(self) -> None:
        """Have the nodes kept after a `leave` that set a condition."""
        with self._lock:
            if self.others:
                self.others = 0
                self.wanted = True

    def note_data(self, path: str, data: bytes) -> None:
        """Take over data that the node at `path` already has."""
        with self._lock:
            self.data = self.data | {split(path)[1]: data}

    @property
    def is_writable(self) -> bool:
        """Whether the ACL lets anyone, and so us, set the data."""
        return any(acl.perms & Permissions.WRITE for acl in self.acl)

    def settle(self, done: bool = False,
               error: Exception | None = None) -> None:
        """Give the waiting callers a result or an exception."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            settle(future, done, error)


def settle(future: Future[bool], done: bool = False,
           error: Exception | None = None) -> None:
    """Give a future its result or exception, unless it has one already."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done)
    except InvalidStateError:
        pass


class Reconciler:
    """Make nodes what their records want.

    `sessions` are the ids of all sessions that the client has had: a node of
    such a session is ours, and may be replaced.
    """

    def __init__(self, client: KazooClient, nodes: Ephemerals) -> None:
        self._client = client
        self._nodes = nodes
        self.sessions: set[int] = set()
        # Pairs of our session's id and another's that are known to differ.
        self._compared: set[tuple[int, int]] = set()

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
                if record.wanted:
                    return self._ensure(record, client_id[0])
                return self._remove(record)
            except Conflict as conflict:
                logger.debug('%s changed meanwhile', conflict)
        raise ConnectionLoss('the nodes or the connection keep changing')

    def _remove(self, record: Record) -> bool:
        stats = self._nodes.fetch_stats(record.paths, watch=False)
        ours = [path for path, stat in stats.items()
                if stat and stat.ephemeralOwner in self.sessions]
        changes = [NodeChange(path, delete=-1) for path in ours]
        if ours and record.others:
            witnesses = self._nodes.choose_others(record.paths, record.others)
            if witnesses is None:
                record.stay()
                return False
            # They exist when our nodes go, whoever leaves at the same time:
            # ZooKeeper makes one transaction after the other.
            changes += [NodeChange(path, is_witness=True)
                        for path in witnesses]
        self._nodes.commit(changes, record.acl)
        record.session = None
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
        try:
            self._nodes.commit(changes, record.acl)
        except Conflict:
            record.written = before
            raise
        for path, owner in stale.items():
            logger.warning('%s: replaced the node of %s', printable(path),
                           owner)
        if record.session != session and len(foreign) < len(stats):
            _log_created(record, missing, is_deleted)
        record.session = session
        record.is_new = False
        record.was_registered = True
        record.written = serial
        return not foreign

    def _classify(self, record: Record, stats: Stats, session: int
                  ) -> tuple[dict[str, str], dict[str, int]]:
        """Return the nodes of other sessions: stale ones, and foreign ones.

        Stale nodes may be replaced; they are a dictionary of path to owner,
        as text. Foreign nodes are left alone, path to session. Raises
        NodeExistsError for a foreign node in the way of a new registration.
        """
        stale, foreign = {}, {}
        for path, stat in stats.items():
            if stat is None or stat.ephemeralOwner == session:
                continue
            self._compare(path, stat, session)
            if self._is_stale(record, stat):
                stale[path] = self._nodes.describe_owner(path, stat)
            elif record.is_new:
                raise NodeExistsError(f'{path} exists and is not ephemeral')
            else:
                foreign[path] = stat.ephemeralOwner
        return stale, foreign

    def _compare(self, path: str, stat: ZnodeStat, session: int) -> None:
        """Begin a new session if the id of ours was received wrongly.

        Then the owner of the node at `path` has an id that is not ours, but
        the server lists the node among those of our session.
        """
        pair = session, stat.ephemeralOwner
        if (not is_ephemeral(stat) or stat.ephemeralOwner == HIDDEN
                or pair in self._compared):
            return
        self._compared.add(pair)
        try:
            is_ours = self._nodes.is_ours(path)
        except TRANSIENT:
            self._compared.discard(pair)
            raise
        except KazooException:
            return  # ZooKeeper before 3.6 does not know
        if is_ours:
            self.sessions.add(stat.ephemeralOwner)
            forget_session(self._client)
            raise SessionExpiredError('our session has another id')

    def _is_stale(self, record: Record, stat: ZnodeStat) -> bool:
        # A node that we may not read counts as ephemeral: most nodes that
        # have an address as their name are.
        return stat.ephemeralOwner in self.sessions or (
            record.is_new and is_ephemeral(stat))

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


def _log_created(record: Record, missing: list[str],
                 is_deleted: bool) -> None:
    names = printable(', '.join(record.paths))
    if not record.was_registered:
        logger.info('Registered %s', names)
        return
    record.reregistered += 1
    if is_deleted:
        logger.warning('%s was deleted by somebody; registered again',
                       printable(', '.join(missing)))
    else:
        logger.warning('Registered again: %s', names)
