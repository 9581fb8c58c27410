"""Listeners: a bound address, and the thread that serves it."""
import contextlib
import errno
import logging
import os
import threading
import time
from types import TracebackType

from zc.monitor.addresses import Address
from zc.monitor.addresses import AnyAddress
from zc.monitor.addresses import format_address
from zc.monitor.limits import Limits
from zc.monitor.loop import ListenerLoop
from zc.monitor.sockets import BoundSocket
from zc.monitor.sockets import ListenError
from zc.monitor.sockets import listen

logger = logging.getLogger('zc.monitor')


class Listener:
    """A monitor server at an address; the constructor starts it.

    `address` is a port, a ``(host, port)`` pair, ``'HOST:PORT'``, or the path
    of a unix socket. Raise `ListenError` when it cannot be used. A process may
    have several listeners, all with the same commands.

    The end of a with statement closes it.
    """

    #: The bound address, with the port that the system picked for 0.
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

    def _make_loop(self, bound: BoundSocket) -> ListenerLoop:
        try:
            return ListenerLoop(bound, self._limits)
        except OSError as error:
            raise ListenError(
                error.errno or errno.EMFILE, self._name,
                error.strerror or str(error)) from error

    def close(self) -> None:
        """Stop listening, and end all connections; may be repeated.

        Running commands have `Limits.grace`, 1 second by default, to write
        their answers. Any thread may call this. A command may, too: its
        answer is sent after this has returned. In a forked child, only close
        the descriptors that the child has inherited.
        """
        if os.getpid() != self._pid:
            self._loop.close_after_fork()
            return
        deadline = time.monotonic() + self._limits.grace
        commands = self._loop.jobs.threads()
        self._loop.post(self._loop.stop)
        if threading.current_thread() in (*commands, self._thread):
            self._loop.has_stopped_listening.wait(self._limits.grace)
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
