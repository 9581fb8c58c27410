"""The monitor server of a service, its commands, and how to ask another.

zc.monitor is imported only where a monitor is wanted: it is an extra of the
distribution (``zc.zkzopeserver[monitor]``).
"""
from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from typing import Protocol

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.errors import StartError
from zc.zkzopeserver.logconfig import LEVELS
from zc.zkzopeserver.logconfig import level as level_number

MonitorAddress = tuple[str, int] | str


def zc_monitor(wanted_by: str) -> ModuleType:
    """Return the module `zc.monitor`.

    Raise ConfigurationError, beginning with `wanted_by`, where it is not
    installed.
    """
    try:
        import zc.monitor
    except ImportError as error:
        if not (error.name or '').startswith('zc'):
            raise
        raise ConfigurationError(
            f'{wanted_by} needs the zc.monitor distribution; add'
            ' zc.zkzopeserver[monitor] to the eggs') from None
    return zc.monitor


# The server.

class MonitorServer:
    """A monitor server, listening when constructed.

    `commands` maps names to commands, besides the basic ones.  All monitor
    servers of the process have them until the close.  No command may belong
    to another service as well: the first close would take it away.

    `address` is (host, true port), or the path of a unix socket.
    """

    def __init__(self, address: MonitorAddress,
                 commands: Mapping[str, Callable[..., Any]]) -> None:
        self._library = zc_monitor("option 'monitor_server'")
        self._commands = commands
        self._library.register_basics()
        for name, command in commands.items():
            self._library.register(command, name)
        try:
            self._listener = self._library.Listener(address)
        except self._library.ListenError as error:
            self._unregister()
            raise ListenError(f"option 'monitor_server': {error}") from None
        self.address: MonitorAddress = self._listener.address

    def close(self) -> None:
        """Stop listening, and take the commands away; may be called twice."""
        try:
            self._listener.close()
        finally:
            self._unregister()

    def _unregister(self) -> None:
        for command in self._commands.values():
            self._library.unregister(command)


# Asking.

def ask(address: MonitorAddress, line: str, timeout_s: float) -> str:
    """Return the whole answer of the monitor at `address` to a command.

    Raise StartError when there is no answer within `timeout_s` seconds.
    """
    library = zc_monitor('`monitor`')
    try:
        return library.ask(address, line, timeout_s)
    except OSError as error:
        raise StartError(
            f'the monitor at {error.filename}: {error.strerror}') from None
    except ValueError as error:
        raise StartError(str(error)) from None


# The commands.

class Monitored(Protocol):
    """What the commands need of the service that they belong to."""

    def status(self) -> dict[str, Any]:
        """Return what the service is doing; see `zc.zkzopeserver.service`."""

    def withdraw(self) -> None:
        """Take the server out of ZooKeeper; it goes on serving."""

    def restore(self) -> None:
        """Put the server back into ZooKeeper."""

    def request_stop(self) -> None:
        """Begin the graceful stop."""


def commands(service: Monitored) -> dict[str, Callable[..., Any]]:
    """Return the commands of a service, by name."""
    own = Commands(service)
    return {'status': own.status, 'deregister': own.deregister,
            'register': own.register, 'drain': own.drain,
            'threads': own.threads, 'loglevel': own.loglevel}


class Commands:
    """The commands of one service.

    The monitor calls each with the connection to write to, and with the words
    that follow the command.  They run in threads of the monitor: a server
    whose request threads are all busy still answers.

    The commands about the process are methods, too, so that each service
    takes away its own ones only.
    """

    def __init__(self, service: Monitored) -> None:
        self._service = service

    def status(self, connection: Any, form: str = 'text') -> None:
        """Show what the server is doing

        One ``name: value`` a line; ``status json`` gives a JSON object.
        Times are in seconds.
        """
        status = self._service.status()
        if form == 'json':
            import json
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

        Its nodes are created again.
        """
        self._service.restore()
        connection.write(f'{self._service.status()["state"]}\n')

    def drain(self, connection: Any) -> None:
        """Stop the server as SIGTERM does: nothing in flight is lost"""
        connection.write('stopping\n')
        self._service.request_stop()

    def threads(self, connection: Any) -> None:
        """Show the stack of every thread"""
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
