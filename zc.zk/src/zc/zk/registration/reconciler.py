"""What is made of a registration's nodes, given what is found there."""
import logging
import threading
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import InvalidStateError

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import NodeExistsError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL
from kazoo.security import Permissions
from zc.zk.paths import join
from zc.zk.paths import split
from zc.zk.registration.ephemerals import Conflict
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import NodeChange
from zc.zk.registration.ephemerals import Stats
from zc.zk.registration.ephemerals import is_ephemeral

logger = logging.getLogger('zc.zk.registration')

#: How often we look again at once when others change the nodes meanwhile.
MAX_CONFLICTS = 5


class Record:
    """A registration as it should be and as it was last seen.

    Any thread may read it. Those who want something else set ``wanted``, or
    the data with `change`; the rest is the business of the thread that keeps
    the nodes.
    """

    def __init__(self, path: str, real_path: str, names: Iterable[str],
                 data: bytes, acl: list[ACL]) -> None:
        self.path = path
        self.acl = acl
        self.data = dict.fromkeys(names, data)
        self.move(real_path)
        self.wanted = True
        self.serial = 1  # of the data
        # The serial that the nodes have, if they are ours; -1: who knows.
        self.written = 0
        self.is_new = True  # the nodes have not yet been ours
        self.session: int | None = None  # in which we saw them
        self.was_registered = False  # the nodes should be there already
        self.displaced_by: dict[str, int] = {}  # path -> the other's session
        self.reregistered = 0
        self.last_error: str | None = None
        self.failures = 0  # in a row
        self.reported = ('', 0.0)  # what was last logged, and when
        self.waiting: list[Future[bool]] = []
        self._lock = threading.Lock()

    def move(self, real_path: str) -> None:
        """Have the nodes below another one."""
        self.paths = tuple(join(real_path, name) for name in self.data)

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """Have other data in the nodes, made of what they have now."""
        with self._lock:
            self.data = {name: change(data)
                         for name, data in self.data.items()}
            self.serial += 1

    def note_data(self, path: str, data: bytes) -> None:
        """A node has other data already."""
        with self._lock:
            self.data = self.data | {split(path)[1]: data}

    @property
    def is_writable(self) -> bool:
        """Whether the ACL lets anybody, us included, set the data."""
        return any(acl.perms & Permissions.WRITE for acl in self.acl)

    def settle(self, done: bool = False,
               error: Exception | None = None) -> None:
        """Tell those who wait how it ended."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            settle(future, done, error)


def settle(future: Future[bool], done: bool = False,
           error: Exception | None = None) -> None:
    """Give a future its result, unless it has got one from elsewhere."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done)
    except InvalidStateError:
        pass


class Reconciler:
    """Makes nodes as entries want them.

    ``sessions`` are all that the client has had.
    """

    def __init__(self, client: KazooClient, nodes: Ephemerals) -> None:
        self._client = client
        self._nodes = nodes
        self.sessions: set[int] = set()

    def reconcile(self, record: Record) -> bool:
        """Create, replace, update or delete nodes; True if all are right.

        False means that some have been registered by another process. Raises
        KazooException when it cannot be done now.
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
        self._nodes.commit(
            (NodeChange(path, delete=-1) for path, stat in stats.items()
             if stat and stat.ephemeralOwner in self.sessions), record.acl)
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
            # None is ours yet.  Whatever becomes of the answer, one that is
            # ours afterwards has this, or what was tried before.
            record.written = serial if before in (0, serial) else -1
        try:
            self._nodes.commit(changes, record.acl)
        except Conflict:
            record.written = before
            raise
        for path, owner in stale.items():
            logger.warning('%s: replaced the node of %s', path, owner)
        if record.session != session and len(foreign) < len(stats):
            _log_created(record, missing, is_deleted)
        record.session = session
        record.is_new = False
        record.was_registered = True
        record.written = serial
        return not foreign

    def _classify(self, record: Record, stats: Stats, session: int
              ) -> tuple[dict[str, str], dict[str, int]]:
        """The nodes that we may replace with whose they were, and others'."""
        stale, foreign = {}, {}
        for path, stat in stats.items():
            if stat is None or stat.ephemeralOwner == session:
                continue
            if self._is_stale(record, stat):
                stale[path] = self._nodes.describe_owner(path, stat)
            elif record.is_new:
                raise NodeExistsError(f'{path} exists and is not ephemeral')
            else:
                foreign[path] = stat.ephemeralOwner
        return stale, foreign

    def _is_stale(self, record: Record, stat: ZnodeStat) -> bool:
        # One that we may not look at is taken for ephemeral, as are most
        # that have the name of an address.
        return stat.ephemeralOwner in self.sessions or (
            record.is_new and is_ephemeral(stat))

    def _note_displaced(self, record: Record, foreign: dict[str, int],
                  stats: Stats) -> None:
        for path, owner in foreign.items():
            if record.displaced_by.get(path) != owner:
                record.last_error = (
                    f'{path} is registered by another process: '
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


def _log_created(record: Record, missing: list[str], is_deleted: bool) -> None:
    names = ', '.join(record.paths)
    if not record.was_registered:
        logger.info('Registered %s', names)
        return
    record.reregistered += 1
    if is_deleted:
        logger.warning('%s was deleted by somebody; registered again',
                       ', '.join(missing))
    else:
        logger.warning('Registered again: %s', names)
