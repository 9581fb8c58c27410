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
from zc.zk.registration.ephemerals import Change
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.ephemerals import Raced
from zc.zk.registration.ephemerals import Stats
from zc.zk.registration.ephemerals import is_ephemeral

logger = logging.getLogger('zc.zk.registration')

#: How often we look again at once when others change the nodes meanwhile.
RACES = 5


class Entry:
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
        self.fresh = True  # the nodes have not yet been ours
        self.session: int | None = None  # in which we saw them
        self.expected = False  # the nodes should be there already
        self.displaced: dict[str, int] = {}  # path -> the other's session
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

    def note(self, path: str, data: bytes) -> None:
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


class Keeper:
    """Makes nodes as entries want them.

    ``sessions`` are all that the client has had.
    """

    def __init__(self, client: KazooClient, nodes: Ephemerals) -> None:
        self._client = client
        self._nodes = nodes
        self.sessions: set[int] = set()

    def make(self, entry: Entry) -> bool:
        """Create, replace, update or delete nodes; True if all are right.

        False means that some have been registered by another process. Raises
        KazooException when it cannot be done now.
        """
        for _ in range(RACES):
            client_id = self._client.client_id
            if client_id is None:
                break
            self.sessions.add(client_id[0])
            try:
                if entry.wanted:
                    return self._keep(entry, client_id[0])
                return self._remove(entry)
            except Raced as raced:
                logger.debug('%s changed meanwhile', raced)
        raise ConnectionLoss('the nodes or the connection keep changing')

    def _remove(self, entry: Entry) -> bool:
        stats = self._nodes.look(entry.paths, watch=False)
        self._nodes.change(
            (Change(path, delete=-1) for path, stat in stats.items()
             if stat and stat.ephemeralOwner in self.sessions), entry.acl)
        entry.session = None
        entry.expected = False
        entry.displaced = {}
        return True

    def _keep(self, entry: Entry, session: int) -> bool:
        serial, before = entry.serial, entry.written
        stats = self._nodes.look(entry.paths)
        stale, foreign = self._sort(entry, stats, session)
        missing = [path for path, stat in stats.items() if stat is None]
        is_deleted = (entry.session == session
                      and entry.displaced.keys().isdisjoint(missing))
        if missing or stale:
            entry.session = None
        self._displace(entry, foreign, stats)
        changes = _changes(entry, stats, stale, foreign)
        if len(missing) + len(stale) + len(foreign) == len(stats):
            # None is ours yet.  Whatever becomes of the answer, one that is
            # ours afterwards has this, or what was tried before.
            entry.written = serial if before in (0, serial) else -1
        try:
            self._nodes.change(changes, entry.acl)
        except Raced:
            entry.written = before
            raise
        for path, owner in stale.items():
            logger.warning('%s: replaced the node of %s', path, owner)
        if entry.session != session and len(foreign) < len(stats):
            _created(entry, missing, is_deleted)
        entry.session = session
        entry.fresh = False
        entry.expected = True
        entry.written = serial
        return not foreign

    def _sort(self, entry: Entry, stats: Stats, session: int
              ) -> tuple[dict[str, str], dict[str, int]]:
        """The nodes that we may replace with whose they were, and others'."""
        stale, foreign = {}, {}
        for path, stat in stats.items():
            if stat is None or stat.ephemeralOwner == session:
                continue
            if self._is_stale(entry, stat):
                stale[path] = self._nodes.describe(path, stat)
            elif entry.fresh:
                raise NodeExistsError(f'{path} exists and is not ephemeral')
            else:
                foreign[path] = stat.ephemeralOwner
        return stale, foreign

    def _is_stale(self, entry: Entry, stat: ZnodeStat) -> bool:
        # One that we may not look at is taken for ephemeral, as are most
        # that have the name of an address.
        return stat.ephemeralOwner in self.sessions or (
            entry.fresh and is_ephemeral(stat))

    def _displace(self, entry: Entry, foreign: dict[str, int],
                  stats: Stats) -> None:
        for path, owner in foreign.items():
            if entry.displaced.get(path) != owner:
                entry.last_error = (
                    f'{path} is registered by another process: '
                    + self._nodes.describe(path, stats[path]))
                logger.error(
                    '%s. It is left to them. Do two servers advertise the '
                    'same address?', entry.last_error)
        entry.displaced = foreign


def _changes(entry: Entry, stats: Stats, stale: Iterable[str],
             foreign: Iterable[str]) -> list[Change]:
    changes = []
    is_outdated = entry.written != entry.serial
    for path, data in zip(entry.paths, entry.data.values(), strict=True):
        stat = stats[path]
        if stat is None:
            changes.append(Change(path, data))
        elif path in foreign:
            continue
        elif path in stale or (is_outdated and not entry.is_writable):
            changes.append(Change(path, data, delete=stat.version))
        elif is_outdated:
            changes.append(Change(path, data, exists=True))
    return changes


def _created(entry: Entry, missing: list[str], is_deleted: bool) -> None:
    names = ', '.join(entry.paths)
    if not entry.expected:
        logger.info('Registered %s', names)
        return
    entry.reregistered += 1
    if is_deleted:
        logger.warning('%s was deleted by somebody; registered again',
                       ', '.join(missing))
    else:
        logger.warning('Registered again: %s', names)
