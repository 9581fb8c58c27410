"""Registrations: ephemeral nodes that exist while a server serves.

What a registration does after each event:

* The connection was lost, and the session survived: it changes nothing.
* The session expired, and its nodes with it: it creates the nodes again in
  the next session, all in one transaction, with back-off and without end.
* A client deleted a node: it creates the node again and logs a warning.
* A new registration finds a node of another session. The address can be bound
  only once, so the node was left by a former process that was killed: it
  replaces the node, in the transaction that creates its own. It does the same
  with a node of an earlier session of its own client. And it does so with a
  node that it may not read: getEphemerals has told that it is not its own.
* One of its nodes now belongs to another session: a live process serves the
  same address. That is an error of the deployment. It logs the owner, leaves
  the node alone, and takes it back when it disappears.

All of this happens in the registrar's thread.
"""
from collections.abc import Mapping
from typing import Any

from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.registration.record import Record
from zc.zk.registration.registrar import Registrar

#: The time for which changes wait for ZooKeeper by default.
CHANGE_TIMEOUT_S = 1.0


class Registration:
    """A registered server. All methods are thread-safe."""

    def __init__(self, registrar: Registrar, record: Record) -> None:
        self._registrar = registrar
        self._record = record
        self._is_marked = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the nodes."""
        return self._record.paths

    @property
    def properties(self) -> dict[str, Any]:
        """The properties that the nodes have, or will have soon."""
        return decode(next(iter(self._record.data.values())), self.paths[0])

    @property
    def state(self) -> str:
        """What clients see of this server, as far as this process can know.

        ``registered``
            The nodes exist.
        ``suspended``
            There has been no connection for less than the session time-out:
            the nodes still exist.
        ``lost``
            There has been no connection for longer, or the nodes could not
            be created.
        ``displaced``
            Another process has registered the address.
        ``withdrawn``
            The nodes were removed on request.
        """
        if not self._record.wanted:
            return 'withdrawn'
        if self._record.displaced_by:
            return 'displaced'
        return self._registrar.state(self._record.session)

    @property
    def reregistered(self) -> int:
        """The number of times that nodes have been created again."""
        return self._record.reregistered

    @property
    def last_error(self) -> str | None:
        """The last failure, even if it is over; None if there was none."""
        return self._record.last_error

    def update(self, data: Mapping[str, Any] | None = None, /,
               **properties: Any) -> bool:
        """Change properties of the nodes; other properties stay.

        Returns whether it was done within `CHANGE_TIMEOUT_S`. If not, it is
        done as soon as ZooKeeper can be reached.
        """
        changes = dict(data or {}) | properties
        self._record.change(lambda data: encode(decode(data) | changes))
        return self._registrar.request(self._record, CHANGE_TIMEOUT_S)

    def withdraw(self, timeout: float | None = CHANGE_TIMEOUT_S, *,
                 mark: bool = False) -> bool:
        """Remove the nodes, and do not create them again.

        With `mark`, a mark is left that this was done on purpose, for a
        server that goes on serving: see `zc.zk.registration.marks`.

        Returns whether they were removed within `timeout` seconds, None for
        no limit. If not, they are removed as soon as ZooKeeper can be
        reached, or end with the session.
        """
        self._record.leave()
        if mark:
            self._registrar.mark(self._record)
        self._is_marked = mark
        return self._registrar.request(self._record, timeout)

    def leave(self, others: int = 1,
              timeout: float | None = CHANGE_TIMEOUT_S) -> bool:
        """Withdraw, with a mark, if `others` nodes of others are left then.

        That holds also when many servers leave at the same moment: ZooKeeper
        removes the nodes in a transaction that checks as many others, chosen
        at random, and makes one transaction after the other. It holds for up
        to 400 of them, and does not hold for servers that stop or die.

        Returns whether the nodes were removed. If not, they stay.
        """
        self._record.leave(others)
        self._registrar.mark(self._record)
        self._is_marked = True
        if (self._registrar.request(self._record, timeout)
                and not self._record.wanted):
            return True
        self._record.stay()
        self._registrar.unmark(self._record)
        self._is_marked = False
        # They may have been removed after the time-out.
        self._registrar.request(self._record, 0)
        return False

    def restore(self, timeout: float | None = CHANGE_TIMEOUT_S) -> bool:
        """Create the nodes again after a `withdraw`.

        Returns whether it was done within `timeout` seconds, None for no
        limit. If not, it is done as soon as ZooKeeper can be reached.
        """
        self._record.wanted = True
        if self._is_marked:
            self._registrar.unmark(self._record)
            self._is_marked = False
        return self._registrar.request(self._record, timeout)

    def __repr__(self) -> str:
        return f'<Registration {", ".join(self.paths)}: {self.state}>'
