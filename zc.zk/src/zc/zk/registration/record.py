"""Records: what the nodes of a registration should be, and are."""
import threading
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import InvalidStateError

from kazoo.security import ACL
from kazoo.security import Permissions
from zc.zk.paths import join
from zc.zk.paths import split


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
        #: What was written and not read back yet: path to data and version.
        self.unread: dict[str, tuple[bytes, int]] = {}
        #: Those of them that were created, with the last transaction that was
        #: known after that: path to zxid.
        self.made: dict[str, int] = {}
        #: Nodes of ours that are not as they were written.
        self.spoiled: set[str] = set()
        #: Where nodes were created by mistake, as the server says.
        self.misplaced: set[str] = set()
        #: The data of nodes that were created, no answer tells surely where,
        #: and the last transaction before that.
        self.doubtful: set[bytes] = set()
        self.doubtful_since = 0
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

    def doubt(self, data: set[bytes], zxid: int) -> None:
        """Note that nodes may have been created elsewhere, after `zxid`."""
        if not self.doubtful:
            self.doubtful_since = zxid
        self.doubtful |= data

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
