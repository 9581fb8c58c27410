"""The thread that keeps registrations, and what makes it look at them.

kazoo's threads only tell it that the connection or a node has changed. What
fails is tried again with back-off, without end.
"""
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ThrottledOpError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import WatchedEvent
from zc.zk.connection.logs import REPORT_SECONDS
from zc.zk.connection.requests import Calls
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.reconciler import Entry
from zc.zk.registration.reconciler import Keeper
from zc.zk.registration.reconciler import settle
from zc.zk.taskthread import Worker

logger = logging.getLogger('zc.zk.registration')

#: The longest pause between two tries.
MAX_DELAY_SECONDS = 2.0

#: How long `Registrar.withdraw` waits for ZooKeeper.
WITHDRAW_SECONDS = 1.0

#: What ends with a new connection, or when the servers have less to do.
PASSING = (ConnectionLoss, SessionExpiredError, ThrottledOpError)


class Registrar:
    """Keeps the registrations of one client.

    ``resolve`` follows links; it is asked again when nodes cannot be created
    where they were.
    """

    def __init__(self, client: KazooClient, calls: Calls,
                 session_timeout: float,
                 resolve: Callable[[str], str]) -> None:
        self._client = client
        self._session_timeout = session_timeout
        self._resolve = resolve
        self._worker = Worker('zc.zk registrations')
        self._keeper = Keeper(client, Ephemerals(
            client, calls, self._changed))
        self._entries: list[Entry] = []  # changed by the worker only
        self._asked: set[Future[bool]] = set()
        self._away_since: float | None = None
        client.add_listener(self._state_changed)

    def register(self, entry: Entry) -> None:
        """Create the nodes, and keep them; raises what keeps it from that."""
        taken = {path for other in self._entries if other.wanted
                 for path in other.paths}
        for path in entry.paths:
            if path in taken:
                raise NodeExistsError(f'{path} is registered here already')
        try:
            self._ask(entry).result()
        except BaseException:
            entry.wanted = False
            self._worker.put(partial(self._look, entry))
            raise

    def request(self, entry: Entry, timeout: float | None) -> bool:
        """Make the nodes as the entry wants them; True when that is done."""
        try:
            return self._ask(entry).result(timeout)
        except (FutureTimeoutError, ConnectionClosedError):
            return False

    def state(self, session: int | None) -> str:
        """The state of nodes that were last seen in a session."""
        if self._worker.closed:
            return 'lost'
        now = self._client.client_id
        if self._client.state == KazooState.CONNECTED and now:
            return 'registered' if session == now[0] else 'lost'
        since = self._away_since
        away = time.monotonic() - since if since is not None else 0.0
        return ('suspended' if session and away < self._session_timeout
                else 'lost')

    def note(self, path: str, data: bytes) -> None:
        """Somebody has set a node's data, which shall come back with it."""
        for entry in list(self._entries):
            if path in entry.paths:
                entry.note(path, data)

    def forget(self, path: str) -> None:
        """Somebody is about to delete a node, which shall not come back."""
        for entry in list(self._entries):
            if path in entry.paths:
                entry.wanted = False

    def withdraw(self) -> None:
        """Remove the nodes of all registrations, if that is soon done."""
        deadline = time.monotonic() + WITHDRAW_SECONDS
        for entry in list(self._entries):
            entry.wanted = False
            self.request(entry, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Stop keeping the nodes."""
        self._client.remove_listener(self._state_changed)
        self._worker.close()
        for future in list(self._asked):
            settle(future, error=ConnectionClosedError('closed'))

    def join(self) -> None:
        """Wait for the thread to end."""
        self._worker.join()

    def _ask(self, entry: Entry) -> Future[bool]:
        future: Future[bool] = Future()
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        if not self._worker.put(partial(self._look, entry, future)):
            settle(future, error=ConnectionClosedError('closed'))
        return future

    # Called by kazoo, in its threads:

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._away_since = None
            self._worker.put(self._connected)
        elif state == KazooState.LOST:
            self._away_since = -self._session_timeout
        elif self._away_since is None:
            self._away_since = time.monotonic()

    def _changed(self, event: WatchedEvent) -> None:
        if event.type != EventType.NONE:
            for entry in list(self._entries):
                if event.path in entry.paths:
                    self._worker.put(partial(self._look, entry))

    # Called by the worker:

    def _connected(self) -> None:
        for entry in list(self._entries):
            entry.failures = 0
            self._look(entry)

    def _retry(self, entry: Entry, failures: int) -> None:
        if entry.failures == failures:  # else something else came between
            self._look(entry)

    def _look(self, entry: Entry,
              future: Future[bool] | None = None) -> None:
        if entry not in self._entries:
            self._entries.append(entry)
        if future is not None:
            entry.waiting.append(future)
        if self._client.state != KazooState.CONNECTED:
            return  # we are called again when it is
        try:
            done = self._keeper.make(entry)
        except Exception as error:  # noqa: BLE001 (who asked gets it)
            self._failed(entry, error)
            return
        if entry.wanted and entry.displaced:
            # Of a node that we may not read we are not told when it goes.
            self._later(entry)
        else:
            entry.failures = 0
        if not entry.wanted:
            self._entries.remove(entry)  # until somebody asks again
        entry.settle(done)

    def _failed(self, entry: Entry, error: Exception) -> None:
        text = f'{type(error).__name__}: {error}'.rstrip(': ')
        entry.last_error = text
        is_passing = isinstance(error, PASSING)
        if entry.fresh and not is_passing:
            entry.settle(error=error)
            return
        if isinstance(error, NoNodeError):
            self._follow(entry)
        if not is_passing:
            _report(entry, text)
        self._later(entry)

    def _later(self, entry: Entry) -> None:
        """Look again by and by, unless something else comes between."""
        delay = min(.1 * 2 ** min(entry.failures, 10), MAX_DELAY_SECONDS)
        entry.failures += 1
        self._worker.put(partial(self._retry, entry, entry.failures),
                         delay * random.uniform(.5, 1))

    def _follow(self, entry: Entry) -> None:
        """The parent is gone: perhaps a link leads elsewhere now."""
        try:
            entry.move(self._resolve(entry.path))
        except KazooException:
            pass  # nothing there yet; we try again


def _report(entry: Entry, text: str) -> None:
    said, when = entry.reported
    now = time.monotonic()
    if text != said or now - when >= REPORT_SECONDS:
        entry.reported = text, now
        logger.warning('%s not registered: %s; trying again',
                       ', '.join(entry.paths), text)
