"""Registrations: ephemeral nodes that are there while a server serves.

What a registration does when something happens to its nodes:

* The session survived a lost connection: nothing is touched.
* The session was lost: the nodes are created again as soon as there is a new
  one, all of them in one transaction, tried again and again with back-off.
* Somebody deleted a node: it is created again, with a warning.
* A node exists and is another session's: when a server registers for the
  first time this is the node of a former self that was killed, because the
  address can be bound only once; it is replaced, in the transaction that
  creates ours. So is a node of an earlier session of our own.
* A node of ours has become another session's: a live process serves the
  same address. That is an error of the deployment, which is logged with the
  owner's name. The node is left to them, and taken back when it disappears.

All of it happens in one thread of our own; kazoo's threads only tell it.
"""
import logging
import os
import random
import time
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import SessionExpiredError
from kazoo.protocol.states import EventType
from kazoo.protocol.states import KazooState
from kazoo.protocol.states import WatchedEvent
from kazoo.security import Permissions
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.ephemerals import Change
from zc.zk.ephemerals import Ephemerals
from zc.zk.ephemerals import Raced
from zc.zk.ephemerals import Stats
from zc.zk.paths import join
from zc.zk.working import Worker

logger = logging.getLogger(__name__)

#: The longest pause between two tries to create nodes.
MAX_DELAY_SECONDS = 2.0

#: How often we look again at once when others change the nodes meanwhile.
RACES = 5

#: The time between two reports of the same trouble.
REPORT_SECONDS = 60.0

#: What only a new connection can mend.
DISCONNECTED = (ConnectionLoss, SessionExpiredError)


class RegisteringServer:
    """Event: a server is about to be registered.

    ``name`` is the address as it was given, ``path`` the path of the node
    that will get the server's node as a child, ``properties`` a dictionary
    of what will be in it. Subscribers may add to the properties.
    """

    def __init__(self, name: str, path: str,
                 properties: dict[str, Any]) -> None:
        self.name = name
        self.path = path
        self.properties = properties

    def __repr__(self) -> str:
        return (f'RegisteringServer({self.name!r}, {self.path!r}, '
                f'{self.properties!r})')


class Registration:
    """A registered server; its attributes can be read from any thread.

    ``paths``
        The paths of its nodes.
    ``reregistered``
        How often nodes have been created again.
    ``last_error``
        The text of the last thing that went wrong, or None.
    """

    def __init__(self, registrar: 'Registrar', path: str, real_path: str,
                 names: Iterable[str], data: bytes, acl: list[Any]) -> None:
        self.reregistered = 0
        self.last_error: str | None = None
        self._registrar = registrar
        self._path = path
        self._acl = acl
        self._data = dict.fromkeys(names, data)
        self._move(real_path)
        self._wanted = True
        self._fresh = True  # not one node has been ours yet
        self._session: int | None = None  # in which we saw the nodes
        self._displaced: dict[str, int] = {}  # path -> the other's session
        self._serial = 1  # of the data
        self._written = 0  # the serial that the nodes have
        self._failures = 0
        self._reported = ('', 0.0)
        self._waiting: list[Future[bool]] = []

    @property
    def state(self) -> str:
        """What others see of this server, as far as we can know.

        ``registered``; ``suspended``, without a connection for less than
        the session time-out, so that the nodes are still there; ``lost``,
        longer or for another reason; ``displaced``, another process has
        registered the address; ``withdrawn``.
        """
        if not self._wanted:
            return 'withdrawn'
        if self._displaced:
            return 'displaced'
        return self._registrar.state(self._session)

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of the nodes."""
        return decode(next(iter(self._data.values())), self.paths[0])

    def update(self, *, timeout: float | None = 1.0,
               **properties: Any) -> bool:
        """Change properties; the others keep their values.

        Returns False when that is not done after ``timeout`` seconds; it
        then will be, as soon as possible.
        """
        for name, data in list(self._data.items()):
            self._data[name] = encode(decode(data) | properties)
        self._serial += 1
        return self._registrar.request(self, timeout)

    def withdraw(self, timeout: float | None = 1.0) -> bool:
        """Remove the nodes, and keep them away.

        Returns True when they are gone. When ZooKeeper cannot be reached
        for ``timeout`` seconds, returns False: they are removed as soon as
        it can be, or go with the session.
        """
        self._wanted = False
        return self._registrar.request(self, timeout)

    def restore(self, timeout: float | None = 1.0) -> bool:
        """Put the nodes back after a `withdraw`.

        Returns False when that is not done after ``timeout`` seconds; it
        then will be, as soon as possible.
        """
        self._wanted = True
        return self._registrar.request(self, timeout)

    def __repr__(self) -> str:
        return f'<Registration {", ".join(self.paths)}: {self.state}>'

    def _move(self, real_path: str) -> None:
        self.paths = tuple(join(real_path, name) for name in self._data)

    def _changes(self, stats: Stats, replace: Iterable[str],
                 leave: Iterable[str]) -> list[Change]:
        """What makes the nodes as they should be."""
        changes = []
        outdated = self._written != self._serial
        # Our own nodes are read-only by default, for us as well.
        writable = any(acl.perms & Permissions.WRITE for acl in self._acl)
        for path, data in zip(self.paths, self._data.values(), strict=True):
            stat = stats[path]
            if stat is None:
                changes.append(Change(path, data))
            elif path in leave:
                continue
            elif path in replace or (outdated and not writable):
                changes.append(Change(path, data, delete=stat.version))
            elif outdated:
                changes.append(Change(path, data, exists=True))
        return changes


class Registrar:
    """Keeps the registrations of one client, in a thread of its own."""

    def __init__(self, client: KazooClient, session_timeout: float,
                 resolve: Callable[[str], str]) -> None:
        self._client = client
        self._session_timeout = session_timeout
        self._resolve = resolve
        self._worker = Worker('zc.zk registrations')
        self._nodes = Ephemerals(client, self._worker.result, self._changed)
        self._registrations: list[Registration] = []
        self._sessions: set[int] = set()  # all that were ours
        self._away_since: float | None = None
        client.add_listener(self._state_changed)

    def register(self, path: str, real_path: str, names: Iterable[str],
                 properties: dict[str, Any],
                 acl: list[Any]) -> Registration:
        """Create the nodes, and keep them."""
        registration = Registration(self, path, real_path, names,
                                    encode(properties), acl)
        taken = {path for other in self._registrations if other._wanted
                 for path in other.paths}
        for path in registration.paths:
            if path in taken:
                raise NodeExistsError(f'{path} is registered here already')
        self._registrations.append(registration)
        try:
            self.request(registration, None, errors=True)
        except BaseException:
            self._registrations.remove(registration)
            registration._wanted = False
            raise
        return registration

    def request(self, registration: Registration, timeout: float | None,
                errors: bool = False) -> bool:
        """Make the nodes as the registration wants them; True when done."""
        future: Future[bool] = Future()
        if not self._worker.put(
                partial(self._converge, registration, future)):
            future.set_exception(ConnectionClosedError('closed'))
        try:
            return future.result(timeout)
        except (FutureTimeoutError, ConnectionClosedError):
            if errors:
                raise
            return False

    def state(self, session: int | None) -> str:
        """The state of nodes that were last seen in a session."""
        now = self._client.client_id
        if self._client.state == KazooState.CONNECTED and now:
            return 'registered' if session == now[0] else 'lost'
        since = self._away_since
        away = time.monotonic() - since if since is not None else 0.0
        return ('suspended' if session and away < self._session_timeout
                else 'lost')

    def note(self, path: str, data: bytes) -> None:
        """Somebody set a node's data, which shall be kept."""
        for registration in list(self._registrations):
            if path in registration.paths:
                name = path.rpartition('/')[2]
                registration._data[name] = data

    def forget(self, path: str) -> None:
        """Somebody is about to delete a node, which shall not come back."""
        for registration in list(self._registrations):
            if path in registration.paths:
                registration._wanted = False

    def withdraw(self) -> None:
        """Remove the nodes of all registrations, waiting a second."""
        deadline = time.monotonic() + 1.0
        for registration in list(self._registrations):
            registration.withdraw(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Stop keeping the nodes."""
        self._client.remove_listener(self._state_changed)
        self._worker.close()
        for registration in list(self._registrations):
            _settle(registration, error=ConnectionClosedError('closed'))

    def join(self) -> None:
        """Wait for the thread to end."""
        self._worker.join()

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
            for registration in list(self._registrations):
                if event.path in registration.paths:
                    self._worker.put(partial(self._converge, registration))

    # Called by the worker:

    def _connected(self) -> None:
        for registration in list(self._registrations):
            registration._failures = 0
            self._converge(registration)

    def _retry(self, registration: Registration, failures: int) -> None:
        if registration._failures == failures:
            self._converge(registration)

    def _converge(self, registration: Registration,
                  future: Future[bool] | None = None) -> None:
        if future is not None:
            registration._waiting.append(future)
        if self._client.state != KazooState.CONNECTED:
            return  # we are called again when it is
        try:
            done = self._make(registration)
        except KazooException as error:
            self._failed(registration, error)
        else:
            registration._failures = 0
            _settle(registration, done)

    def _make(self, registration: Registration) -> bool:
        for _ in range(RACES):
            client_id = self._client.client_id
            if client_id is None:
                break
            self._sessions.add(client_id[0])
            try:
                if registration._wanted:
                    return self._keep(registration, client_id[0])
                return self._remove(registration)
            except Raced as raced:
                logger.debug('%s changed meanwhile', raced)
        raise ConnectionLoss('the nodes or the connection keep changing')

    def _remove(self, registration: Registration) -> bool:
        stats = self._nodes.look(registration.paths, watch=False)
        self._nodes.change(
            (Change(path, delete=-1) for path, stat in stats.items()
             if stat and stat.ephemeralOwner in self._sessions),
            registration._acl)
        registration._session = None
        registration._displaced = {}
        return True

    def _keep(self, registration: Registration, session: int) -> bool:
        stats = self._nodes.look(registration.paths)
        others = {path: stat for path, stat in stats.items()
                  if stat and stat.ephemeralOwner != session}
        stale = {path: self._nodes.describe(path, stat)
                 for path, stat in others.items()
                 if self._is_stale(registration, stat.ephemeralOwner)}
        foreign = {path: others[path].ephemeralOwner
                   for path in others if path not in stale}
        if registration._fresh and foreign:
            raise NodeExistsError(f'{min(foreign)} exists and is not '
                                  'ephemeral')
        self._displace(registration, foreign, stats)
        missing = [path for path, stat in stats.items() if stat is None]
        if missing or stale:
            before, registration._session = registration._session, None
        serial = registration._serial
        self._nodes.change(registration._changes(stats, stale, foreign),
                           registration._acl)
        for path, owner in stale.items():
            logger.warning('%s: replaced the node of %s', path, owner)
        if missing or stale:
            self._created(registration, before == session, missing)
        registration._session = session
        registration._fresh = False
        registration._written = serial
        return not foreign

    def _is_stale(self, registration: Registration, owner: int) -> bool:
        return owner in self._sessions or bool(
            owner and registration._fresh)

    def _displace(self, registration: Registration,
                  foreign: dict[str, int], stats: Stats) -> None:
        known, registration._displaced = registration._displaced, foreign
        for path, owner in foreign.items():
            if known.get(path) != owner:
                registration.last_error = (
                    f'{path} is registered by another process: '
                    + self._nodes.describe(path, stats[path]))
                logger.error(
                    '%s. It is left to them. Do two servers advertise the '
                    'same address?', registration.last_error)

    def _created(self, registration: Registration, deleted: bool,
                 missing: list[str]) -> None:
        names = ', '.join(registration.paths)
        if registration._fresh:
            logger.info('Registered %s', names)
            return
        registration.reregistered += 1
        if deleted:
            logger.warning('%s was deleted by somebody; registered again',
                           ', '.join(missing))
        else:
            logger.warning('Registered again: %s', names)

    def _failed(self, registration: Registration,
                error: KazooException) -> None:
        text = f'{type(error).__name__}: {error}'.rstrip(': ')
        registration.last_error = text
        if registration._fresh and not isinstance(error, DISCONNECTED):
            _settle(registration, error=error)
            return
        if isinstance(error, NoNodeError):
            self._follow(registration)
        self._report(registration, text)
        delay = min(.1 * 2 ** min(registration._failures, 10),
                    MAX_DELAY_SECONDS) * random.uniform(.5, 1)
        registration._failures += 1
        self._worker.put(partial(self._retry, registration,
                                 registration._failures), delay)

    def _follow(self, registration: Registration) -> None:
        """The parent is gone: perhaps a link leads elsewhere now."""
        try:
            registration._move(self._resolve(registration._path))
        except KazooException:
            pass  # nothing there yet; we try again

    def _report(self, registration: Registration, text: str) -> None:
        said, when = registration._reported
        now = time.monotonic()
        if text != said or now - when >= REPORT_SECONDS:
            registration._reported = text, now
            logger.warning('%s not registered: %s; trying again',
                           ', '.join(registration.paths), text)


def make_event(name: str, path: str,
               properties: dict[str, Any]) -> RegisteringServer:
    """The event for a server of this process."""
    return RegisteringServer(name, path, properties | {'pid': os.getpid()})


def _settle(registration: Registration, done: bool = False,
            error: Exception | None = None) -> None:
    waiting, registration._waiting = registration._waiting, []
    for future in waiting:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done)
