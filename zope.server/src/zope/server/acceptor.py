"""Taking new connections, as many as there is room for."""
from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from zope.server.connection import Channel
from zope.server.shared import Context

logger = logging.getLogger('zope.server')

AT_ONCE = 64
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE = 0.25
# Between two lines of the log that say the same.
QUIET = 60.0
# An idle connection that makes room for others is at least so old.
SPARED = 1.0


class Acceptor:
    """Accepts connections and pauses while there is no room.

    While it pauses, connections wait in the listen queue and the idle
    connections that have waited longest are closed.
    """

    def __init__(self, context: Context, sock: socket.socket,
                 make_channel: Callable[[Any, Any], Channel]) -> None:
        self._context = context
        self._sock = sock
        self._make_channel = make_channel
        self._is_listening = False
        self.is_exhausted = False
        self.is_closed = False
        self._resume_at = 0.0
        self._silent_until: dict[str, float] = {}
        self.fd = sock.fileno()

    @property
    def is_paused(self) -> bool:
        """Whether connections have to wait."""
        return not self._is_listening and not self.is_closed

    def resume(self) -> None:
        """Accept again, if there is room."""
        context = self._context
        if (context.now >= self._resume_at and len(context.channels)
                < context.settings.connection_limit):
            context.poller.add_source(self.fd)
            self._is_listening = True

    def _pause(self, seconds: float) -> None:
        context = self._context
        self._resume_at = context.now + seconds
        if self._is_listening:
            context.poller.remove_source(self.fd)
            self._is_listening = False

    def make_room(self) -> None:
        """Close idle connections, those first that have waited longest."""
        now = self._context.now
        idle = [channel for channel in list(self._context.channels.values())
                if channel.is_idle and now - channel.since > SPARED]
        idle.sort(key=lambda channel: channel.since)
        for channel in idle[:AT_ONCE]:
            channel.close()

    def accept(self) -> list[Channel]:
        """New connections; `is_exhausted` then says if these were all."""
        found: list[Channel] = []
        context = self._context
        limit = context.settings.connection_limit
        self.is_exhausted = False
        for _ in range(0 if self.is_closed else AT_ONCE):
            if len(context.channels) >= limit and not context.is_draining:
                self._log(f'there are {limit} connections, which is the'
                          ' connection_limit; further ones have to wait')
                self._pause(0)
                break
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                self.is_exhausted = True
                break
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    # That connection is gone already; the next may not be.
                    continue
                self._log('no connection can be accepted:'
                          f' {error.strerror}')
                self._pause(PAUSE)
                break
            sock.setblocking(False)
            channel = self._make_channel(sock, address)
            context.channels[channel.fd] = channel
            found.append(channel)
        return found

    def _log(self, text: str) -> None:
        now = self._context.now
        kind = text[:20]
        if now >= self._silent_until.get(kind, 0):
            self._silent_until[kind] = now + QUIET
            logger.warning(text)

    def close(self) -> None:
        """Accept no more."""
        if not self.is_closed:
            if self._is_listening:
                self._context.poller.remove_source(self.fd)
            self.is_closed = True
            self._is_listening = False
