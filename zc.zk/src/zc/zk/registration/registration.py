"""Registrations: ephemeral nodes that are there while a server serves.

What a registration does when something happens to its nodes:

* The session survived a lost connection: nothing is touched.
* The session was lost: the nodes are created again as soon as there is a new
  one, all of them in one transaction, tried again and again with back-off.
* Somebody deleted a node: it is created again, with a warning.
* A node exists and is another session's: when a server registers for the
  first time this is the node of a former self that was killed, because the
  address can be bound only once; it is replaced, in the transaction that
  creates ours. So is a node of an earlier session of our own, and one that
  we may not look at: ours are told to us whatever their ACLs say.
* A node of ours has become another session's: a live process serves the
  same address. That is an error of the deployment, which is logged with the
  owner's name. The node is left to them, and taken back when it disappears.

All of it happens in one thread (registrar.py); kazoo's threads only tell it.
"""
from collections.abc import Mapping
from typing import Any

from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.registration.reconciler import Record
from zc.zk.registration.registrar import Registrar

#: How long changes wait for ZooKeeper, unless told otherwise.
CHANGE_TIMEOUT_S = 1.0


class Registration:
    """A registered server; everything here may be used from any thread."""

    def __init__(self, registrar: Registrar, record: Record) -> None:
        self._registrar = registrar
        self._record = record

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the nodes."""
        return self._record.paths

    @property
    def properties(self) -> dict[str, Any]:
        """The properties that the nodes have, or will have."""
        return decode(next(iter(self._record.data.values())), self.paths[0])

    @property
    def state(self) -> str:
        """What others see of this server, as far as we can know.

        ``registered``; ``suspended``, without a connection for less than
        the session time-out, so that the nodes are still there; ``lost``,
        longer or for another reason; ``displaced``, another process has
        registered the address; ``withdrawn``.
        """
        if not self._record.wanted:
            return 'withdrawn'
        if self._record.displaced_by:
            return 'displaced'
        return self._registrar.state(self._record.session)

    @property
    def reregistered(self) -> int:
        """How often nodes have been created again."""
        return self._record.reregistered

    @property
    def last_error(self) -> str | None:
        """The last thing that went wrong, be it mended or not."""
        return self._record.last_error

    def update(self, data: Mapping[str, Any] | None = None, /,
               **properties: Any) -> bool:
        """Change properties; the others keep their values.

        Returns False when that is not done after `CHANGE_TIMEOUT_S`; it then
        will be, as soon as possible.
        """
        changes = dict(data or {}) | properties
        self._record.change(lambda data: encode(decode(data) | changes))
        return self._registrar.request(self._record, CHANGE_TIMEOUT_S)

    def withdraw(self, timeout: float | None = CHANGE_TIMEOUT_S) -> bool:
        """Remove the nodes, and keep them away.

        Returns True when they are gone. When ZooKeeper cannot be reached
        for ``timeout`` seconds, returns False: they are removed as soon as
        it can be, or go with the session.
        """
        self._record.wanted = False
        return self._registrar.request(self._record, timeout)

    def restore(self, timeout: float | None = CHANGE_TIMEOUT_S) -> bool:
        """Put the nodes back after a `withdraw`.

        Returns False when that is not done after ``timeout`` seconds; it
        then will be, as soon as possible.
        """
        self._record.wanted = True
        return self._registrar.request(self._record, timeout)

    def __repr__(self) -> str:
        return f'<Registration {", ".join(self.paths)}: {self.state}>'
