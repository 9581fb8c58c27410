"""Keep registrations in a thread, which reconciles them after each event.

kazoo's threads only put tasks into this thread: after a new connection, a
change of a node, or a request of the application. A failure is followed by
another attempt, with back-off and without end.

The nodes are also read at an interval, in case an event or a watch was lost.
These requests take the place of heartbeats. A session times out when its last
request is old, not when the network is cut: the shorter the time between two
requests, the less of the session time-out is lost by then. So between two
times at which all nodes are read, those of one registration are.
"""
import logging
import random
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import WatchedEvent
from zc.zk.connection.logs import REPORT_INTERVAL_S
from zc.zk.connection.requests import Requests
from zc.zk.printable import printable
from zc.zk.registration.ephemerals import TRANSIENT
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.registration.marks import remove_marks
from zc.zk.registration.marks import send_marks
from zc.zk.registration.reconciler import Reconciler
from zc.zk.registration.record import Record
from zc.zk.registration.record import settle
from zc.zk.taskthread import TaskThread

logger = logging.getLogger('zc.zk.registration')

#: The longest pause between two attempts.
MAX_RETRY_DELAY_S = 2.0

#: The part of the session time-out after which all nodes are read again, and
#: the longest time. kazoo sends a heartbeat after a third without a request.
CHECK_PART = 1 / 4
MAX_CHECK_INTERVAL_S = 2.0

#: The part of the session time-out after which a request is sent, and the
#: shortest and longest time. It is never longer than that of all nodes.
REQUEST_PART = 1 / 12
MIN_REQUEST_INTERVAL_S = 0.25
MAX_REQUEST_INTERVAL_S = 1.0

#: The longest time for `Registrar.withdraw` to wait for ZooKeeper.
WITHDRAW_TIMEOUT_S = 1.0

# The records of each client, by the registrar that keeps them. Several
# `ZooKeeper` objects may have the same client.
_registered: weakref.WeakKeyDictionary[
    KazooClient, dict[int, list[Record]]] = weakref.WeakKeyDictionary()


class Registrar:
    """Keep the registrations of one client.

    `resolve` returns the real path of a path, links followed. It is called
    again when a parent is missing: the link may lead elsewhere by then.
    """

    def __init__(self, client: KazooClient, requests: Requests,
                 session_timeout: float,
                 resolve: Callable[[str], str]) -> None:
        self._client = client
        self._requests = requests
        self._session_timeout = session_timeout
        self._request_interval_s = request_interval_s(session_timeout)
        # All nodes are read at each look of this number.
        self._looks_per_check = round(
            check_interval_s(session_timeout) / self._request_interval_s)
        self._looks = 0
        self._resolve = resolve
        self._tasks = TaskThread('zc.zk registrations')
        self._records: list[Record] = []  # changed by the thread only
        self._of_client = _registered.setdefault(client, {})
        self._of_client[id(self)] = self._records
        self.reconciler = Reconciler(client, Ephemerals(
            client, requests, self._node_changed), self._records_of_client)
        self._unsettled: set[Future[bool]] = set()
        self._disconnected_since: float | None = None
        self._is_looking = False
        client.add_listener(self._state_changed)

    @property
    def records(self) -> tuple[Record, ...]:
        """The records whose nodes are kept, or are to be removed."""
        return tuple(self._records)

    def register(self, record: Record) -> None:
        """Create the nodes, and keep them from now on.

        Raises NodeExistsError if this client has registered one of them, or
        the error because of which they cannot be created.
        """
        taken = {path for other in self._records if other.wanted
                 for path in other.paths}
        for path in record.paths:
            if path in taken:
                raise NodeExistsError(f'{path} is registered here already')
        try:
            self._enqueue(record).result()
        except BaseException:
            record.wanted = False
            self._tasks.put(partial(self._reconcile, record))
            raise

    def request(self, record: Record, timeout: float | None) -> bool:
        """Reconcile a record, and return whether its nodes are as wanted.

        Returns False if that takes longer than `timeout` seconds, None for
        no limit; the attempts go on then. Raises UsedAfterFork in a forked
        child.
        """
        self._requests.check_process()
        try:
            return self._enqueue(record).result(timeout)
        except (FutureTimeoutError, ConnectionClosedError):
            return False

    def state(self, session: int | None) -> str:
        """Return the state of nodes that were last seen in `session`.

        It is ``registered``, ``suspended`` or ``lost``; see
        `Registration.state`.
        """
        if self._tasks.closed:
            return 'lost'
        now = self._client.client_id
        if self._client.state == KazooState.CONNECTED and now:
            return 'registered' if session == now[0] else 'lost'
        since = self._disconnected_since
        away = time.monotonic() - since if since is not None else 0.0
        return ('suspended' if session and away < self._session_timeout
                else 'lost')

    def note_data(self, path: str, data: bytes) -> None:
        """Note that the application has set the data of a node.

        If the node belongs to a registration, that creates it again with
        the new data.
        """
        for record in list(self._records):
            if path in record.paths:
                record.note_data(path, data)

    def note_deletion(self, path: str) -> None:
        """Note that the application is about to delete a node.

        If the node belongs to a registration, that is withdrawn.
        """
        for record in list(self._records):
            if path in record.paths:
                record.wanted = False

    def mark(self, record: Record) -> None:
        """Leave marks that the nodes were withdrawn; returns at once."""
        send_marks(self._client, record.paths)

    def unmark(self, record: Record) -> None:
        """Remove the marks of `mark`; returns at once."""
        remove_marks(self._client, record.paths)

    def withdraw(self) -> None:
        """Remove the nodes of all registrations.

        Gives up after `WITHDRAW_TIMEOUT_S`.
        """
        deadline = time.monotonic() + WITHDRAW_TIMEOUT_S
        for record in list(self._records):
            record.wanted = False
            self.request(record, max(0.0, deadline - time.monotonic()))

    def is_alive(self) -> bool:
        """Return whether the thread runs that keeps the nodes."""
        return self._tasks.is_alive()

    def close(self) -> None:
        """Stop keeping the nodes, and let no caller wait any longer."""
        self._client.remove_listener(self._state_changed)
        self._tasks.close()
        for future in list(self._unsettled):
            settle(future, error=ConnectionClosedError('closed'))

    def join(self) -> None:
        """Wait for the thread to end."""
        self._tasks.join()
        self._of_client.pop(id(self), None)

    def _records_of_client(self) -> list[Record]:
        """Return the records of all registrars that have this client."""
        return [record for records in list(self._of_client.values())
                for record in list(records)]

    def _enqueue(self, record: Record) -> Future[bool]:
        future: Future[bool] = Future()
        self._unsettled.add(future)
        future.add_done_callback(self._unsettled.discard)
        if not self._tasks.put(partial(self._reconcile, record, future)):
            settle(future, error=ConnectionClosedError('closed'))
        return future

    # Called in kazoo's threads:

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._disconnected_since = None
            self._tasks.put(self._connected)
        elif state == KazooState.LOST:
            self._disconnected_since = -self._session_timeout
        elif self._disconnected_since is None:
            self._disconnected_since = time.monotonic()

    def _node_changed(self, event: WatchedEvent) -> None:
        if event.type != EventType.NONE:
            for record in list(self._records):
                if event.path in record.paths:
                    self._tasks.put(partial(self._reconcile, record))

    # Called in the registrar's thread:

    def _look(self) -> None:
        self._tasks.put(self._look, self._request_interval_s)
        if self._client.state != KazooState.CONNECTED:
            return
        self._looks += 1
        records = [record for record in self._records
                   if not record.failures]  # else an attempt comes soon
        turn, rest = divmod(self._looks, self._looks_per_check)
        if rest and records:
            records = [records[turn % len(records)]]
        for record in records:
            self._reconcile(record)

    def _connected(self) -> None:
        for record in list(self._records):
            record.failures = 0
            self._reconcile(record)

    def _retry(self, record: Record, failures: int) -> None:
        if record.failures == failures:  # no other attempt came between
            self._reconcile(record)

    def _reconcile(self, record: Record,
                   future: Future[bool] | None = None) -> None:
        if record not in self._records:
            self._records.append(record)
        if not self._is_looking:
            self._is_looking = True
            self._tasks.put(self._look, self._request_interval_s)
        if future is not None:
            record.waiting.append(future)
        if self._client.state != KazooState.CONNECTED:
            return  # `_connected` comes here again
        try:
            done = self.reconciler.reconcile(record)
        except Exception as error:  # noqa: BLE001 (the caller gets it)
            self._handle_error(record, error)
            return
        if record.wanted and record.displaced_by:
            # No watch tells when a node goes that we may not read.
            self._retry_later(record)
        else:
            record.failures = 0
        if not record.wanted:
            self._records.remove(record)  # until the next request
        record.settle(done)

    def _handle_error(self, record: Record, error: Exception) -> None:
        text = f'{type(error).__name__}: {error}'.rstrip(': ')
        record.last_error = text
        is_transient = isinstance(error, TRANSIENT)
        if record.is_new and not is_transient:
            record.settle(error=error)
            return
        if isinstance(error, NoNodeError):
            self._resolve_again(record)
        if not is_transient:
            _log_failure(record, text)
        self._retry_later(record)

    def _retry_later(self, record: Record) -> None:
        """Reconcile after a pause, unless another attempt comes first."""
        delay = min(.1 * 2 ** min(record.failures, 10), MAX_RETRY_DELAY_S)
        record.failures += 1
        self._tasks.put(partial(self._retry, record, record.failures),
                        delay * random.uniform(.5, 1))

    def _resolve_again(self, record: Record) -> None:
        """Follow links again: the parent is gone, and may be elsewhere."""
        try:
            record.move(self._resolve(record.path))
        except KazooException:
            pass  # there is no such node yet; the next attempt resolves again


def check_interval_s(session_timeout: float) -> float:
    """Return the time after which all nodes are read again.

    It and `session_timeout` are in seconds.
    """
    return min(session_timeout * CHECK_PART, MAX_CHECK_INTERVAL_S)


def request_interval_s(session_timeout: float) -> float:
    """Return the longest time without a request; both in seconds."""
    interval_s = max(session_timeout * REQUEST_PART, MIN_REQUEST_INTERVAL_S)
    return min(interval_s, MAX_REQUEST_INTERVAL_S,
               check_interval_s(session_timeout))


def _log_failure(record: Record, text: str) -> None:
    said, when = record.reported
    now = time.monotonic()
    if text != said or now - when >= REPORT_INTERVAL_S:
        record.reported = text, now
        logger.warning('%s not registered: %s; trying again',
                       printable(', '.join(record.paths)), printable(text))
