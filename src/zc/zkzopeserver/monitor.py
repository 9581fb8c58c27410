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

from zc.zk.printable import printable
from zope.server.values import shorten

from zc.zkzopeserver import logconfig
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.errors import StartError

logger = logging.getLogger('zc.zkzopeserver.monitor')

MonitorAddress = tuple[str, int] | str

# The hosts that stand for all interfaces.
EVERYWHERE = '', '0.0.0.0', '::'

# The values of the option `monitor_control`.
LOCAL, ANY = 'local', 'any'


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
        if not isinstance(address, str) and address[0] in EVERYWHERE:
            logger.warning(
                "option 'monitor_server': it listens on all interfaces: each"
                ' machine that reaches port %s sees status and stacks of this'
                ' process; 127.0.0.1 or the path of a unix socket is for this'
                ' machine alone', self.address[1])

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


def commands(service: Monitored,
             control: str = LOCAL) -> dict[str, Callable[..., Any]]:
    """Return the commands of a service, by name.

    `control` is the option `monitor_control`.
    """
    own = Commands(service, control)
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

    Those that change something are for the clients of this machine, unless
    `control` is `ANY`.  Each is logged with its client.
    """

    def __init__(self, service: Monitored, control: str = LOCAL) -> None:
        self._service = service
        self._control = control

    def _may(self, connection: Any, command: str) -> bool:
        """Return whether the client may change something; tell it if not."""
        peer = connection.peer
        if self._control == ANY or peer.is_local:
            logger.warning('%s, asked by %s', command, peer)
            return True
        logger.warning('refused %s, asked by %s', command, peer)
        connection.write(f'{command.partition(" ")[0]} is for clients of this'
                         ' machine; the option monitor_control = any allows'
                         ' it to all\n')
        return False

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
            connection.write(
                f'{shorten(form)} is not text or json\n')

    def deregister(self, connection: Any) -> None:
        """Take the server out of ZooKeeper; it goes on serving

        It stays out, also when ZooKeeper is lost and found again, until
        "register".
        """
        if not self._may(connection, 'deregister'):
            return
        self._service.withdraw()
        connection.write(f'{self._service.status()["state"]}\n')

    def register(self, connection: Any) -> None:
        """Put the server back into ZooKeeper after a "deregister"

        Its nodes are created again.
        """
        if not self._may(connection, 'register'):
            return
        self._service.restore()
        connection.write(f'{self._service.status()["state"]}\n')

    def drain(self, connection: Any) -> None:
        """Stop the server as SIGTERM does: nothing in flight is lost"""
        if not self._may(connection, 'drain'):
            return
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
        found = logconfig.find(logger)
        if found is None:
            connection.write(
                f'there is no logger {shorten(logger)}\n')
            return
        if level:
            number = logconfig.level_to_set(level)
            if number is None:
                connection.write(
                    f'{shorten(level)} is not NOTSET, '
                    + ', '.join(logconfig.LEVELS) + ' or a number\n')
                return
            if not self._may(connection, f'loglevel {logger} {level}'):
                return
            found.setLevel(number)
        connection.write(
            f'{logger}: {logging.getLevelName(found.getEffectiveLevel())}\n')


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ', '.join(map(printable, value)) or 'none'
    return 'none' if value is None else printable(value)
