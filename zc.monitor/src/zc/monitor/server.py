"""Listeners: an address, served by a thread."""
import contextlib
import logging
import os
import threading
import time
from types import TracebackType

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.limits import Limits
from zc.monitor.loop import Loop
from zc.monitor.sockets import Bound
from zc.monitor.sockets import ListenError
from zc.monitor.sockets import listen

logger = logging.getLogger('zc.monitor')


class Listener:
    """A monitor server at an address, serving from the start.

    ``address`` is a port, a ``(host, port)`` pair, ``'HOST:PORT'``, or the
    path of a unix socket; `ListenError` says why it can't be used. There may
    be any number of listeners in a process, all with the same commands.

    In a with statement it is closed at the end.
    """

    #: The address as bound: with the true port.
    address: Address

    def __init__(
            self, address: AnyAddress, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._closed = False
        self._pid = os.getpid()
        bound = listen(address)
        self.address = bound.address
        self._name = format_address(bound.address)
        with contextlib.ExitStack() as undo:
            undo.callback(bound.close)
            self._loop = self._make_loop(bound)
            undo.callback(self._loop.release)
            self._thread = threading.Thread(
                target=self._loop.run, name=f'zc.monitor {self._name}',
                daemon=True)
            self._thread.start()
            undo.pop_all()
        logger.info('Listening on %s', self._name)

    def _make_loop(self, bound: Bound) -> Loop:
        try:
            return Loop(bound, self._limits)
        except OSError as error:
            raise ListenError(
                error.errno, self._name, error.strerror) from error

    def close(self) -> None:
        """Stop listening, and end all connections.

        Commands that are running get a second (the limits' ``grace``) for
        their answer. Any thread may call this, also a command (whose answer
        is then sent after this has returned), and more than once. In a
        forked child it only gives up what the child has inherited.
        """
        if os.getpid() != self._pid:
            self._loop.disown()
            return
        deadline = time.monotonic() + self._limits.grace
        commands = self._loop.jobs.threads()
        self._loop.post(self._loop.stop)
        if threading.current_thread() in (*commands, self._thread):
            self._loop.deaf.wait(self._limits.grace)
            return
        self._thread.join()
        for thread in commands:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._report()

    def _report(self) -> None:
        if self._closed:
            return
        self._closed = True
        running = self._loop.jobs.describe()
        if running:
            logger.warning(
                'Closed %s while running %s', self._name, running)
        else:
            logger.info('Closed %s', self._name)

    def __enter__(self) -> 'Listener':
        return self

    def __exit__(
            self, kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<zc.monitor.Listener {self._name}>'
