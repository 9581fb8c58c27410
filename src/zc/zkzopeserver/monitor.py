"""The monitor server: a zc.monitor listener for one service.

Only this module imports zc.monitor, and only when a service wants one: it is
an extra of the distribution (``zc.zkzopeserver[monitor]``).
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import ServerError


class Monitoring:
    """A monitor server, listening when constructed.

    `commands` maps a name to a command, besides the basic ones; they are
    commands of every monitor server of the process, until the close.  None
    may be another service's as well: it would go with the first of them.

    `address` is (host, true port), or the path of a unix socket.
    """

    def __init__(self, address: tuple[str, int] | str,
                 commands: Mapping[str, Callable[..., Any]]) -> None:
        try:
            import zc.monitor
        except ImportError as reason:
            if not (reason.name or '').startswith('zc'):
                raise
            raise ConfigurationError(
                "option 'monitor_server' needs the zc.monitor distribution;"
                ' add zc.zkzopeserver[monitor] to the eggs') from None
        self._commands = commands
        zc.monitor.register_basics()
        for name, command in commands.items():
            zc.monitor.register(command, name)
        try:
            self._listener = zc.monitor.Listener(address)
        except zc.monitor.ListenError as reason:
            self._unregister()
            raise ServerError(f"option 'monitor_server': {reason}") from None
        self.address = self._listener.address

    def close(self) -> None:
        """Stop listening, and take the commands away; may be called twice."""
        try:
            self._listener.close()
        finally:
            self._unregister()

    def _unregister(self) -> None:
        """Let nobody hold what the commands belong to."""
        import zc.monitor
        for command in self._commands.values():
            zc.monitor.unregister(command)
