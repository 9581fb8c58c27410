"""Connections that count what happens on them, for `metrics`.

A server without ``measure=True`` has plain ones.
"""
from __future__ import annotations

import socket
from time import monotonic
from typing import Any

from zope.server.connection import Connection
from zope.server.connection import Scheduler
from zope.server.errors import HTTPError
from zope.server.metrics import Meter
from zope.server.output import SendBuffer
from zope.server.shared import SharedState
from zope.server.task import Task


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
        self._meter.add_slow()
        return True


class MeasuredConnection(Connection):
    """A connection that counts what happens on it.

    `serve` counts the usual requests (`Tally`), and calls `_end` for others.
    """

    __slots__ = ('_meter', '_buffer', '_is_settled')

    def __init__(self, shared: SharedState, scheduler: Scheduler,
                 sock: socket.socket, address: Any) -> None:
        super().__init__(shared, scheduler, sock, address)
        meter = self.shared.meter
        if meter is None:
            raise RuntimeError('the server has no meter')
        self._meter = meter
        self.is_measured = True
        meter.open(self)
        # `output` has the type that plain connections have.
        self.output = self._buffer = MeasuredBuffer(self, meter)
        # The last response was cut and is counted, or is that of a refusal:
        # what is lost of it is not counted.
        self._is_settled = False

    def _end(self, task: Task, started: float) -> None:
        super()._end(task, started)
        self._add(task, started, self.ended)
        if task.is_cut or not task.code:
            self._add_cut(task)

    def _add(self, task: Task, started: float, ended: float) -> None:
        received = 0 if task.store is None else task.store.size
        self._meter.add(task, received, ended - task.began,
                        started - task.began)

    def _add_cut(self, task: Task) -> None:
        self._is_settled = True
        # Those without a code are known by that.
        if task.code:
            self._meter.add_cut()

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
            now = monotonic()
            self._add(task, now, now)
            self._add_cut(task)

    def close(self) -> None:
        """Close it, after its counts are kept; may be repeated."""
        self._meter.close(self)
        super().close()

    def _next(self) -> bool:
        if self._buffer.has_lost and not self._is_settled:
            self._is_settled = True
            self._meter.add_cut()
        return super()._next()

    def _send_error(self, error: HTTPError) -> None:
        self._meter.add_refused(error.status)
        self._is_settled = True
        super()._send_error(error)
