"""A server in a process of its own, to be stopped, killed and paused."""
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psutil
from zc.zk.testing import four_letter_words
from zc.zk.testing import orphans
from zc.zk.testing.expiry import expire_session
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for

#: Other ports to try when somebody was quicker to take the chosen one.
ATTEMPTS = 5


class NotReady(RuntimeError):
    """The server did not come up; the text ends with its last log lines."""


class HasClientId(Protocol):
    """What of a KazooClient names its session."""

    client_id: tuple[int, bytes]


class ServerProcess:
    """A ZooKeeper server on a loopback port, with a folder for data and log.

    The port is chosen at the first start and kept, and so is the data: a
    server that was stopped or killed comes back as it was.  Subclasses say
    what to run and when it is ready.
    """

    #: What tests may ask to know which kind of server they talk to.
    name = 'server'

    def __init__(self, folder: str | os.PathLike,
                 host: str = '127.0.0.1') -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.port = 0
        self.log = self.folder / 'log'
        self._process: subprocess.Popen | None = None
        #: Whether ``pause`` holds it at the moment.
        self.is_paused = False

    # What subclasses give.

    def command(self) -> list[str]:
        """Return what to run; write the configuration that it needs."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the process."""
        return os.environ

    def is_ready(self) -> bool:
        """Tell whether this very process answers clients."""
        raise NotImplementedError

    # What tests use.

    @property
    def hosts(self) -> str:
        """``HOST:PORT``"""
        return f'{self.host}:{self.port}'

    @property
    def connection_string(self) -> str:
        """The same; there is no chroot."""
        return self.hosts

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as a pair."""
        return self.host, self.port

    @property
    def version(self) -> tuple[int, ...]:
        """As the running server tells it, for example ``(3, 9, 6)``."""
        return four_letter_words.version(self.address)

    @property
    def pid(self) -> int | None:
        """Number of the process, None when it isn't running."""
        return self._process.pid if self.is_running() else None

    def is_running(self) -> bool:
        """Tell whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30) -> None:
        """Start and wait until clients get answers; raise ``NotReady``."""
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
        """Start without waiting; ``wait_ready`` is the other half."""
        command = self.command()
        with self.log.open('wb') as log:
            # A session of its own: Ctrl-C must reach pytest alone, which
            # then stops its servers in order.
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=dict(self.environment()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        orphans.guard(self._process.pid)

    def wait_ready(self, timeout: float = 30) -> None:
        """Wait until clients get answers; raise ``NotReady``."""
        deadline = time.monotonic() + timeout
        while self.is_running():
            if self.is_ready():
                return
            if time.monotonic() > deadline:
                raise NotReady(self._report(f'not ready in {timeout:g} s'))
            time.sleep(.02)
        self._ended()
        raise NotReady(self._report('ended while it started'))

    def stop(self, timeout: float = 10) -> None:
        """Ask it to end and wait; kill it after ``timeout`` seconds."""
        if self.is_running():
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._ended()

    close = stop

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        if self.is_running():
            self._process.kill()
        self._ended()

    def restart(self, timeout: float = 30) -> None:
        """Stop, then start on the same port with the same data."""
        self.stop()
        self.start(timeout)

    def pause(self) -> None:
        """Make it hang: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)
        process = psutil.Process(self._process.pid)
        wait_for(lambda: process.status() == psutil.STATUS_STOPPED,
                 message=f'{self.name} server to be suspended', interval=.001)
        self.is_paused = True

    def resume(self) -> None:
        """End the pause; nothing happens when there is none."""
        if self.is_paused:
            self._signal(signal.SIGCONT)
        self.is_paused = False

    def expire(self, client: HasClientId) -> None:
        """End the session of a KazooClient; return when that is done.

        The client learns of it when it connects again.
        """
        expire_session(self.address, *client.client_id)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
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

    def _signal(self, number: int) -> None:
        if not self.is_running():
            raise ValueError(f'{self.name} server is not running')
        self._process.send_signal(number)

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
