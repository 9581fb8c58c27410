"""Connections that count what happens on them, for `metrics`.

A server without ``measure=True`` has plain ones, which have nothing to do with
it.
"""
from __future__ import annotations

import socket
from time import monotonic
from typing import Any

from zope.server.connection import ANSWERING
from zope.server.connection import Connection
from zope.server.connection import Scheduler
from zope.server.errors import HTTPError
from zope.server.metrics import FIRST_S
from zope.server.metrics import Meter
from zope.server.metrics import Tally
from zope.server.output import SendBuffer
from zope.server.shared import SharedState
from zope.server.task import Task

# A name that is found faster than super().
serve = Connection.serve


class MeasuredBuffer(SendBuffer):
    """A send buffer that counts clients that read too slowly.

    `has_lost` says that something was kept when the client went.
    """

    __slots__ = ('_meter', 'has_lost')

    def __init__(self, connection: Connection, meter: Meter) -> None:
        super().__init__(connection.sock, connection.shared.settings)
        self._meter = meter
        self.has_lost = False

    def _break(self) -> None:
        # In this order: another thread may look at both meanwhile.
        if self.pending:
            self.has_lost = True
        super()._break()

    def is_stalled(self, now: float) -> bool:
        """Return whether the client reads too slowly; it is cut then."""
        if not super().is_stalled(now):
            return False
        self._meter.own.tally.slow += 1
        return True


class MeasuredConnection(Connection):
    """A connection that counts what happens on it."""

    __slots__ = ('_own', '_buffer', '_started', '_is_unsent')

    def __init__(self, shared: SharedState, scheduler: Scheduler,
                 sock: socket.socket, address: Any) -> None:
        super().__init__(shared, scheduler, sock, address)
        meter = self.shared.meter
        if meter is None:
            raise RuntimeError('the server has no meter')
        self._own = meter.own
        self._own.tally.accepted += 1
        # `output` has the type that plain connections have.
        self._buffer = MeasuredBuffer(self, meter)
        self.output = self._buffer
        self._started = 0.0
        # The response that was counted is still kept to be sent.
        self._is_unsent = False

    def serve(self) -> None:
        """Serve, and count the request once its response is over.

        All of this is done for each request, so that what is usual has
        neither a call nor a second place to count in.
        """
        task, started = self.task, monotonic()
        if self.state != ANSWERING or task is None:
            self._serve_rest(task)
            return
        serve(self)
        if self.task is not None:
            # A file is being sent.
            self._started = started
            return
        tally = self._own.tally
        began = task.began
        try:
            cell = tally.cells[task.method][task.code]
        except KeyError:
            cell = tally.cell(task.method, task.code)
        seconds = monotonic() - began
        cell.duration_s += seconds
        cell.queue_s += started - began
        cell.sent += task.sent
        if seconds <= FIRST_S:
            cell.quick += 1
        else:
            tally.add_slow(cell, seconds, started - began)
        output = self._buffer
        if (task.store is not None or task.is_cut or output.pending
                or output.has_lost):
            self._add_unusual(tally, task)

    def _serve_rest(self, task: Task | None) -> None:
        """Serve a request whose file is sent, and count it."""
        serve(self)
        if task is not None:
            tally = self._own.tally
            tally.add(task, self._started - task.began)
            if self.output.is_broken:
                task.is_cut = True
            self._add_unusual(tally, task)

    def _add_unusual(self, tally: Tally, task: Task) -> None:
        if task.store is not None:
            tally.received += task.store.size
        output = self._buffer
        # In this order: another thread may drop what is kept meanwhile.
        is_unsent = bool(output.pending)
        if task.is_cut or output.has_lost:
            self._add_cut(tally, task)
        elif is_unsent:
            self._is_unsent = True

    def _add_cut(self, tally: Tally, task: Task) -> None:
        # Those without a code are known by that.
        if task.code:
            tally.cut += 1

    def skip(self) -> None:
        """Drop the request, and count it."""
        self._add_dropped(self.task)
        super().skip()

    def give_up(self) -> None:
        """Drop the request, if there is one, and count it."""
        self._add_dropped(self.task)
        super().give_up()

    def _add_dropped(self, task: Task | None) -> None:
        if task is not None:
            tally = self._own.tally
            tally.add(task, monotonic() - task.began)
            self._add_cut(tally, task)

    def _continue(self) -> bool:
        was_busy = self.is_busy
        is_complete = super()._continue()
        if is_complete and was_busy and self.task is not None and (
                self.state == ANSWERING):
            # A thread of the pool has read it.  The time of the loop's last
            # turn may be long ago.
            self.task.began = monotonic()
        return is_complete

    def _next(self) -> bool:
        if self._is_unsent:
            self._is_unsent = False
            if self._buffer.has_lost:
                self._own.tally.cut += 1
        return super()._next()

    def _send_error(self, error: HTTPError) -> None:
        self._own.tally.refused[error.status] += 1
        super()._send_error(error)
