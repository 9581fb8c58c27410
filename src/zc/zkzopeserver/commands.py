"""The commands that a server adds to its monitor: how it is, and in or out.

Each is called with the connection to write to, and with words of text.  They
run in the monitor's threads, so that a server whose request threads are all
busy still answers.
"""
from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any
from typing import Protocol

from zc.zkzopeserver.logconfig import LEVELS
from zc.zkzopeserver.logconfig import level as level_number


class Service(Protocol):
    """What the commands need of the service they belong to."""

    def status(self) -> dict[str, Any]:
        """What it is doing, by name; see `zc.zkzopeserver.service`."""

    def withdraw(self) -> None:
        """Take it out of ZooKeeper, still serving."""

    def restore(self) -> None:
        """Put it back."""

    def request_stop(self) -> None:
        """Begin the graceful stop."""


def commands(service: Service) -> dict[str, Callable[..., Any]]:
    """The commands of a service, by name."""
    own = Commands(service)
    return {'status': own.status, 'deregister': own.deregister,
            'register': own.register, 'drain': own.drain,
            'threads': own.threads, 'loglevel': own.loglevel}


class Commands:
    """The commands of one service.

    Those that are about the process are methods as well: with the service
    go its own commands, and not those of another one.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def status(self, connection: Any, form: str = 'text') -> None:
        """Show what the server is doing

        One ``name: value`` a line; ``status json`` gives a JSON object.
        Times are in seconds.
        """
        status = self._service.status()
        if form == 'json':
            connection.write(json.dumps(status) + '\n')
        elif form == 'text':
            connection.write(''.join(
                f'{name}: {_text(value)}\n'
                for name, value in status.items()))
        else:
            connection.write(f'{form!r} is not text or json\n')

    def deregister(self, connection: Any) -> None:
        """Take the server out of ZooKeeper; it goes on serving

        It stays out, also when ZooKeeper is lost and found again, until
        "register".
        """
        self._service.withdraw()
        connection.write(f'{self._service.status()["state"]}\n')

    def register(self, connection: Any) -> None:
        """Put the server back into ZooKeeper after a "deregister"
        """
        self._service.restore()
        connection.write(f'{self._service.status()["state"]}\n')

    def drain(self, connection: Any) -> None:
        """Stop the server as SIGTERM does: nothing in flight is lost
        """
        connection.write('stopping\n')
        self._service.request_stop()

    def threads(self, connection: Any) -> None:
        """Show the stack of every thread
        """
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        connection.write(f'pid {os.getpid()},'
                         f' {time.strftime("%Y-%m-%d %H:%M:%S")}\n')
        for ident, frame in sys._current_frames().items():
            connection.write(f'\nThread {names.get(ident, "?")} ({ident}):\n')
            connection.write(''.join(traceback.format_stack(frame)))

    def loglevel(self, connection: Any, logger: str = 'root',
                 level: str = '') -> None:
        """Show or set a logger's level: loglevel [LOGGER] [LEVEL]

        Without a level, shows the one that is in effect. LOGGER is "root" by
        default; NOTSET makes a logger follow the one above it.
        """
        found = logging.getLogger('' if logger == 'root' else logger)
        if level:
            wanted = level.upper()
            if wanted != 'NOTSET' and wanted not in LEVELS and not (
                    wanted.isascii() and wanted.isdigit()):
                connection.write(f'{level!r} is not NOTSET, '
                                 + ', '.join(LEVELS) + ' or a number\n')
                return
            found.setLevel(0 if wanted == 'NOTSET' else level_number(wanted))
        connection.write(
            f'{logger}: {logging.getLevelName(found.getEffectiveLevel())}\n')


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ', '.join(map(str, value)) or 'none'
    return 'none' if value is None else str(value)
