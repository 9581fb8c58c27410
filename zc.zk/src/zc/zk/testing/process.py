"""ServerProcess: a ZooKeeper server in a process that tests control."""
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psutil
from zc.zk.testing import four_letter_words
from zc.zk.testing import orphans
from zc.zk.testing.expiry import expire_session
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import Deadline
from zc.zk.testing.waiting import wait_for

#: The most ports to try, as another process may take a chosen one first.
ATTEMPTS = 5


class NotReady(RuntimeError):
    """A server did not start; the text ends with its last log lines."""


class HasClientId(Protocol):
    """A KazooClient, with the number and password of its session."""

    client_id: tuple[int, bytes]


class ServerProcess:
    """A ZooKeeper server on a loopback port, with a folder for data and log.

    `start` chooses the port, and keeps it and the data for later starts.
    Subclasses say what to run, and when it is ready. A context manager, which
    starts and stops the server.
    """

    #: The kind of the server: ``embedded`` or ``apache``.
    name = 'server'

    def __init__(self, folder: str | os.PathLike,
                 host: str = '127.0.0.1') -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.port = 0
        self.log = self.folder / 'log'
        self._process: subprocess.Popen | None = None
        #: Whether `pause` has stopped the process.
        self.is_paused = False

    # Subclasses override these.

    def command(self) -> list[str]:
        """Write the configuration; return the command that runs the server."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the process."""
        return os.environ

    def is_ready(self) -> bool:
        """Return whether this very process answers clients."""
        raise NotImplementedError

    # Tests use these.

    @property
    def hosts(self) -> str:
        """The address as ``HOST:PORT``."""
        return f'{self.host}:{self.port}'

    @property
    def connection_string(self) -> str:
        """The same as `hosts`, as there is no chroot."""
        return self.hosts

    @property
    def address(self) -> tuple[str, int]:
        """The address as a pair of host and port."""
        return self.host, self.port

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the running server, such as ``(3, 9, 6)``."""
        return four_letter_words.version(self.address)

    @property
    def pid(self) -> int | None:
        """The number of the process, None while it does not run."""
        process = self._running()
        return None if process is None else process.pid

    def is_running(self) -> bool:
        """Return whether the process exists, paused or not."""
        return self._running() is not None

    def start(self, timeout: float = 30) -> None:
        """Start, unless it runs, and wait until clients get answers.

        Raise NotReady when they do not within `timeout` seconds.
        """
        if self.is_running():
            return
        attempts = 1 if self.port else ATTEMPTS
        for attempt in range(1, attempts + 1):
            if attempts > 1:
                self.port = free_port(self.host)
            self.spawn()
            try:
                return self.wait_ready(timeout)
            except NotReady:
                self.kill()
                if attempt == attempts or not self._port_was_taken():
                    raise

    def spawn(self) -> None:
        """Start the process without waiting; see `wait_ready`."""
        command = self.command()
        with self.log.open('wb') as log:
            # A session of its own: Ctrl-C must reach only pytest, which then
            # stops its servers in order.
            process = subprocess.Popen(
                command, cwd=self.folder, env=dict(self.environment()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self._process = process
        orphans.guard(process.pid)

    def wait_ready(self, timeout: float = 30) -> None:
        """Wait until clients get answers.

        Raise NotReady when they do not within `timeout` seconds, and when the
        process ends.
        """
        deadline = Deadline(timeout)
        while self.is_running():
            if self.is_ready():
                return
            if deadline.has_passed():
                raise NotReady(self._report(f'not ready in {timeout:g} s'))
            deadline.sleep(.02)
        self._ended()
        raise NotReady(self._report('ended while it started'))

    def stop(self, timeout: float = 10) -> None:
        """Send SIGTERM and wait; send SIGKILL after `timeout` seconds."""
        process = self._running()
        if process is not None:
            self.resume()
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
        self._ended()

    close = stop

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process is gone."""
        process = self._running()
        if process is not None:
            process.kill()
        self._ended()

    def restart(self, timeout: float = 30) -> None:
        """Stop, and start with the same port and data."""
        self.stop()
        self.start(timeout)

    def pause(self) -> None:
        """Let the server hang: connections stay, nothing is answered.

        Raise ValueError when the server does not run.
        """
        process = psutil.Process(self._signal(signal.SIGSTOP))
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED,
                 message=f'{self.name} server to be suspended', interval=.001)
        self.is_paused = True

    def resume(self) -> None:
        """End a pause, if there is one."""
        if self.is_paused:
            self._signal(signal.SIGCONT)
        self.is_paused = False

    def expire(self, client: HasClientId) -> None:
        """End a client's session; return when the server no longer knows it.

        The client sees that when it reconnects.
        """
        expire_session(self.address, *client.client_id)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last `lines` lines of the log."""
        try:
            text = self.log.read_text('utf-8', 'replace')
        except OSError as error:
            return str(error)
        return '\n'.join(text.splitlines()[-lines:])

    def __enter__(self) -> 'ServerProcess':
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen | None:
        """Return the process, None when it has ended."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        return None

    def _signal(self, number: int) -> int:
        """Send a signal; return the number of the process."""
        process = self._running()
        if process is None:
            raise ValueError(f'{self.name} server is not running')
        process.send_signal(number)
        return process.pid

    def _ended(self) -> None:
        if self._process is not None:
            self._process.wait()
            orphans.release(self._process.pid)
        self._process = None
        self.is_paused = False

    def _port_was_taken(self) -> bool:
        return 'in use' in self.log_tail(200)

    def _report(self, what: str) -> str:
        return (f'{self.name} server on {self.hosts} {what};'
                f' the end of {self.log}:\n{self.log_tail()}')
