"""Run a parent with stand-ins for its workers: `standin.py`."""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zc.zk.testing import orphans
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.cli.processes import lives

PROGRAM = Path(__file__).with_name('standin.py')
LIMITS = {'workers': 2, 'ready_timeout': 60, 'graceful_timeout': 0.2,
          'deregister_wait': 0}

# Tests start many of these processes, and the import of site takes long.
# Where they are recorded it is needed, as it begins that.
NO_SITE = [] if 'COVERAGE_RECORDS_OF_TESTS' in os.environ else ['-S']


class Program:
    """A parent and its workers, with their log and their events."""

    def __init__(self, folder: Path, plan: dict[str, Any],
                 environment: dict[str, str], settings: dict[str, Any],
                 **popen: Any) -> None:
        self.folder = folder
        self.log_path = folder / 'log'
        self.limits = LIMITS | {'workers': int(settings['workers'])}
        self.plan(**plan)
        (folder / 'settings').write_text(json.dumps(settings))
        with self.log_path.open('wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, *NO_SITE, '-W', 'error', PROGRAM, folder],
                stdout=log, stderr=log, env={
                    **os.environ, **environment,
                    'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
                **{'stdin': subprocess.DEVNULL, **popen})
        orphans.guard(self.process.pid)

    def plan(self, limits: dict[str, Any] | None = None,
             **plan: Any) -> None:
        """Set what workers do that start from now on."""
        plan['limits'] = self.limits | (limits or {})
        new = self.folder / 'plan.new'
        new.write_text(json.dumps(plan))
        new.rename(self.folder / 'plan')

    def use_up(self, workers: list[int]) -> None:
        """Have workers say that they have served 9 requests, and are used up.

        `workers` are their ids.
        """
        for pid in workers:
            os.kill(pid, signal.SIGUSR2)

    def release(self) -> None:
        """Let slow workers end."""
        (self.folder / 'release').touch()

    # What happened.

    def events(self, event: str) -> list[int]:
        """Return the ids of the workers with this event, in order."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.folder / 'events').read_text().splitlines()
            return [int(line.split()[0]) for line in lines
                    if line.split()[1] == event]
        return []

    def log(self) -> str:
        """Return what all processes have written to stderr."""
        return self.log_path.read_text('utf-8', 'replace')

    def find(self, pattern: str) -> list[str]:
        """Return the matches of a pattern in the log."""
        return re.findall(pattern, self.log())

    def wait_log(self, pattern: str, count: int = 1,
                 timeout: float = 60) -> list[str]:
        """Wait until the log has `count` matches; return them."""
        return wait_for(lambda: len(self.find(pattern)) >= count
                        and self.find(pattern), timeout,
                        lambda: f'{pattern} in the log:\n{self.log()}')

    def registered(self) -> list[int]:
        """Return the ids of workers that run and say they are registered."""
        left = self.events('stopping')
        return [pid for pid in self.events('registered')
                if pid not in left and lives(pid)]

    def wait_registered(self, count: int) -> list[int]:
        """Wait until `count` workers are registered, and known to the parent.

        Return their ids.
        """
        def there() -> list[int]:
            known = {int(pid) for pid in
                     self.find(r'worker (\d+) at \S+ is registered')}
            found = self.registered()
            return found if len(found) == count and (
                known.issuperset(found)) else []
        return wait_for(there, 60,
                        lambda: f'{count} registered workers; the log:\n'
                        + self.log())

    # What is done to it.

    def send(self, number: int) -> None:
        """Send the parent a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 60) -> int:
        """Wait until the parent has ended; return its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError('it runs on; the log:\n'
                                 + self.log()) from None

    def stop(self) -> int:
        """Send the parent SIGTERM; return its exit status."""
        self.send(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End the parent; fail when a worker outlives it for 5 s."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        orphans.release(self.process.pid)
        self.release()
        try:
            wait_for(lambda: not self.alive(), 30,
                     lambda: f'the workers {self.alive()} to end; the log:\n'
                     + self.log())
        finally:
            for pid in self.alive():
                os.kill(pid, signal.SIGKILL)

    def alive(self) -> list[int]:
        """Return the ids of all workers that have not ended."""
        return [pid for pid in self.events('started') if lives(pid)]


@contextlib.contextmanager
def running(folder: Path, plan: dict[str, Any] | None = None,
            environment: dict[str, str] | None = None,
            popen: dict[str, Any] | None = None,
            **settings: Any) -> Iterator[Program]:
    """Run a program, and end it afterwards.

    `settings` are options as strings, `plan` is what workers do, and `popen`
    holds further arguments of `subprocess.Popen`.
    """
    settings = {'workers': '2', 'graceful_timeout': '0.2',
                'deregister_wait': '0'} | settings
    program = Program(folder, plan or {}, environment or {}, settings,
                      **popen or {})
    try:
        yield program
    finally:
        program.close()


class Systemd:
    """systemd's end of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / 'notify')
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._states: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """The variables that systemd sets for a service."""
        return {'NOTIFY_SOCKET': self.path}

    def states(self) -> list[str]:
        """Return all notifications, in order."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._states.append(self._socket.recv(4096).decode())
        return self._states

    def told(self, start: str) -> list[str]:
        """Return the notifications that begin with `start`."""
        return [state for state in self.states() if state.startswith(start)]

    def __enter__(self) -> Systemd:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
