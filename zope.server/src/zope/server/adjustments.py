"""`Adjustments` of zope.server 5: its names for some settings.

Programs written for zope.server 5 change `default_adj`, or give a server an
instance of their own.  New ones use `zope.server.Settings`.
"""
from __future__ import annotations

import logging
import socket
from typing import Any

from zope.server.settings import LISTENING
from zope.server.settings import Settings

logger = logging.getLogger('zope.server')

# Attribute of zope.server 5 -> argument of `zope.server.Server`.
ARGUMENTS = {
    'backlog': 'backlog',
    'connection_limit': 'connection_limit',
    'channel_timeout': 'channel_timeout',
    'inbuf_overflow': 'body_spool_size',
    'outbuf_overflow': 'output_buffer_size',
}
# zope.server 5 tuned its asyncore loop with these.
WITHOUT_EFFECT = ('recv_bytes', 'send_bytes', 'copy_bytes',
                  'cleanup_interval', 'log_socket_errors', 'socket_options')


class Adjustments:
    """Settings of a server by the names of zope.server 5.

    Their defaults are those of `zope.server.Settings`.  The attributes of
    WITHOUT_EFFECT have the values of zope.server 5, and nothing reads them.
    """

    backlog: int = LISTENING['backlog'].default
    connection_limit: int = Settings.connection_limit
    channel_timeout: float = Settings.channel_timeout
    inbuf_overflow: int = Settings.body_spool_size
    outbuf_overflow: int = Settings.output_buffer_size

    recv_bytes = 8192
    send_bytes = 9000
    copy_bytes = 65536
    cleanup_interval = 300
    log_socket_errors = 1
    socket_options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]

    def arguments(self) -> dict[str, Any]:
        """Return these settings as keyword arguments of `Server`.

        Log a warning for each attribute without effect that was changed.
        """
        for name in WITHOUT_EFFECT:
            if getattr(self, name) != getattr(Adjustments, name):
                logger.warning('%s of Adjustments has no effect since'
                               ' zope.server 6', name)
        return {argument: getattr(self, name)
                for name, argument in ARGUMENTS.items()}


default_adj = Adjustments()
