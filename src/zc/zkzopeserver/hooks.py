"""Functions of the user's that are called as a server comes and goes.

The options `on_starting`, `when_registered` and `on_stopping` name functions
that take the `zc.zkzopeserver.service.Service`, `worker_exit` those that take
a process id and an exit status.  Where the application has imported
zope.event, its subscribers hear of the same, by the events below.

What a function or a subscriber raises is logged, and changes nothing.
"""
from __future__ import annotations

import dataclasses
import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options

logger = logging.getLogger('zc.zkzopeserver.hooks')

# Seconds for which the end of a parent waits for functions that still run.
LAST_EXITS_S = 5.0

Hook = Callable[..., object]


@dataclasses.dataclass(frozen=True)
class ServerStarting:
    """A service listens, and has not served a request yet."""

    service: Any


@dataclasses.dataclass(frozen=True)
class ServerRegistered:
    """The node of a service is in ZooKeeper, for the first time."""

    service: Any


@dataclasses.dataclass(frozen=True)
class ServerStopping:
    """A service stops: its node is gone, and it still serves."""

    service: Any


@dataclasses.dataclass(frozen=True)
class WorkerExited:
    """A worker has ended; only a parent notifies of it.

    `status` is the exit status, or minus the number of the signal that
    killed it.
    """

    pid: int
    status: int


class ServiceHooks:
    """The hooks of one service.

    Raise ConfigurationError when one of its options names nothing that can
    be called.
    """

    def __init__(self, options: Options) -> None:
        self._on_starting = load('on_starting', options.on_starting)
        self._when_registered = load('when_registered',
                                     options.when_registered)
        self._on_stopping = load('on_stopping', options.on_stopping)

    def starting(self, service: object) -> None:
        """Tell that `service` listens, and will serve."""
        tell(self._on_starting, ServerStarting(service), service)

    def registered(self, service: object) -> None:
        """Tell that `service` is registered."""
        tell(self._when_registered, ServerRegistered(service), service)

    def stopping(self, service: object) -> None:
        """Tell that `service` stops."""
        tell(self._on_stopping, ServerStopping(service), service)


class ExitHook:
    """The hook of a parent; raises as `ServiceHooks`.

    The functions run in threads, as the parent must not wait.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._functions = load('worker_exit', names)
        self._threads: list[threading.Thread] = []

    def exited(self, pid: int, status: int) -> None:
        """Tell that a worker has ended; return at once."""
        if not self._functions and 'zope.event' not in sys.modules:
            return
        thread = threading.Thread(
            target=tell, args=(self._functions, WorkerExited(pid, status),
                               pid, status),
            name='zc.zkzopeserver.worker_exit', daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Wait for the functions that run, LAST_EXITS_S in all."""
        ends_at = time.monotonic() + LAST_EXITS_S
        for thread in self._threads:
            thread.join(max(ends_at - time.monotonic(), 0))


def tell(functions: Sequence[Hook], event: object, *arguments: object
         ) -> None:
    """Call functions, and the subscribers of zope.event, if it is there."""
    for function in functions:
        _call(function, *arguments)
    zope_event = sys.modules.get('zope.event')
    if zope_event is not None:
        _call(zope_event.notify, event)


def _call(function: Hook, *arguments: object) -> None:
    try:
        function(*arguments)
    except (Exception, SystemExit):
        logger.exception('%s failed', described(function))


def described(function: Hook) -> str:
    """Return MODULE:FUNCTION, or what comes near to it."""
    name = getattr(function, '__qualname__', None)
    return (f'{function.__module__}:{name}' if name is not None
            else repr(function))


def load(option: str, names: Sequence[str]) -> list[Hook]:
    """Return the functions that an option names.

    ``MODULE:FUNCTION`` is one; a name without a colon is a group of entry
    points, each of which is one.  Raise ConfigurationError for what is not
    there, or cannot be called.
    """
    found: list[Hook] = []
    for name in names:
        try:
            functions = _functions(name)
        except Exception as error:
            raise ConfigurationError(
                f'option {option!r}: cannot load {name}:'
                f' {type(error).__name__}: {error}') from error
        if not functions:
            raise ConfigurationError(
                f'option {option!r}: no distribution has entry points of the'
                f' group {name!r}; a function is named MODULE:FUNCTION')
        found += functions
    for function in found:
        if not callable(function):
            raise ConfigurationError(
                f'option {option!r}: {function!r} cannot be called')
    return found


def _functions(name: str) -> list[Any]:
    module, colon, path = name.partition(':')
    if colon:
        found: Any = importlib.import_module(module)
        for part in path.split('.'):
            found = getattr(found, part)
        return [found]
    # Imported here: it takes long, and few options name a group.
    from importlib import metadata
    return [each.load() for each in sorted(
        metadata.entry_points(group=name), key=lambda each: each.name)]
